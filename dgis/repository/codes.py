"""Coded values of audit messages: DICOM PS3.16 CID 400 to 405, PS3.15 A.5.1.2."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A value of a coding scheme with its meaning."""

    value: str
    meaning: str
    scheme: str = "DCM"


# CID 400, Audit Event ID
APPLICATION_ACTIVITY = Code("110100", "Application Activity")
AUDIT_LOG_USED = Code("110101", "Audit Log Used")
BEGIN_TRANSFERRING = Code("110102", "Begin Transferring DICOM Instances")
INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
STUDY_DELETED = Code("110105", "DICOM Study Deleted")
EXPORT = Code("110106", "Export")
QUERY = Code("110112", "Query")
SECURITY_ALERT = Code("110113", "Security Alert")
USER_AUTHENTICATION = Code("110114", "User Authentication")
# The context group is extensible; nothing in it is a signed head.
TRAIL_HEAD = Code("TRAIL-HEAD", "Signed head of the audit trail", "99DGIS")

# CID 401, Audit Event Type Code
APPLICATION_START = Code("110120", "Application Start")
APPLICATION_STOP = Code("110121", "Application Stop")
LOGIN = Code("110122", "Login")
NODE_AUTHENTICATION = Code("110126", "Node Authentication")
SECURITY_CONFIGURATION = Code("110129", "Security Configuration")
RESTRICTED_FUNCTION = Code("110132", "Use of Restricted Function")
OBJECT_SECURITY_CHANGED = Code("110135", "Object Security Attributes Changed")
USER_SECURITY_CHANGED = Code("110137", "User Security Attributes Changed")

# CID 402, Audit Active Participant Role ID Code
APPLICATION = Code("110150", "Application")
LAUNCHER = Code("110151", "Application Launcher")
DESTINATION = Code("110152", "Destination Role ID")
SOURCE = Code("110153", "Source Role ID")
DESTINATION_MEDIA = Code("110154", "Destination Media")

# CID 404, Audit Participant Object ID Type Code; PS3.15 A.5.1.2.4
STUDY_UID = Code("110180", "Study Instance UID")
SOP_CLASS_UID = Code("110181", "SOP Class UID")
NODE_ID = Code("110182", "Node ID")
PATIENT_NUMBER = Code("2", "Patient Number", "RFC-3881")
URI = Code("12", "URI", "RFC-3881")

# CID 405, Media Type Code
MEDIA_URI = Code("110037", "URI")

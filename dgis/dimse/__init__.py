"""The DICOM door: our own upper layer (PS3.8) and the DIMSE services (PS3.7, PS3.4) on top of it.

Nothing here knows the cache, the catalog's tables or the nodes: `services.Services` is all the door asks for.
"""

"""Bad inputs of the DICOM door, sorted by what is bad about them; tests/conformance plays the table."""

from deid.codes import is_concept, is_known_scheme, known_code


def test_known_codes_get_the_dictionarys_words():
    assert known_code("SCT", "10200004").meaning == "Liver"
    assert known_code("SRT", "T-A0100").meaning == "Brain"
    assert known_code("DCM", "113100").meaning == "Basic Application Confidentiality Profile"


def test_codes_of_known_schemes_stay_without_the_senders_words():
    assert known_code("SCPECG", "5.10.3-11").meaning == "SCPECG 5.10.3-11"
    assert known_code("UCUM", "mm/s").value == "mm/s"


def test_local_codes_and_names_are_unknown():
    for scheme, value in [("99LOCAL", "1"), ("SCT", "DOE"), ("DCM", "4711"), ("UCUM", "JANE DOE"), ("", "1")]:
        assert known_code(scheme, value) is None
    assert not is_known_scheme("99LOCAL")
    assert is_known_scheme("DCM")


def test_record_numbers_hardly_ever_pass_for_concepts():
    assert is_concept("22298006")
    assert not is_concept("22298007")
    assert sum(is_concept(str(number)) for number in range(12_000_000, 12_020_000)) < 100

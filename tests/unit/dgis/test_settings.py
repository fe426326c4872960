from pathlib import Path

import pytest

from dgis import settings


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch):
    for name in list(settings.os.environ):
        if name.startswith("DGIS__"):
            monkeypatch.delenv(name)


def write(folder: Path, text: str) -> Path:
    path = folder / "dgis.toml"
    path.write_text(text)
    return path


def test_with_no_file_everything_lies_under_the_home(tmp_path):
    effective = settings.load(home=tmp_path / "h")
    assert [node.name for node in effective.nodes] == ["node-a", "node-b", "node-c"]
    assert all(node.path.is_relative_to(tmp_path / "h") for node in effective.nodes)
    assert effective.keys.site_secret_file == tmp_path / "h" / "keys" / "site-secret"
    assert effective.dicom.host == "127.0.0.1"


def test_command_line_wins_over_environment_over_file(tmp_path, monkeypatch):
    file = write(tmp_path, '[gateway]\nhome = "/a"\nfacility = "F"\n[publish]\nstable_age_seconds = 7\n')
    monkeypatch.setenv("DGIS__GATEWAY__HOME", "/b")
    monkeypatch.setenv("DGIS__PUBLISH__STABLE_AGE_SECONDS", "3")
    effective = settings.load(file, home=Path("/c"))
    assert effective.gateway.home == Path("/c")
    assert effective.gateway.facility == "F"
    assert effective.publish.stable_age_seconds == 3


def test_a_secret_is_read_from_the_file_the_environment_names(tmp_path, monkeypatch):
    (tmp_path / "url").write_text("postgresql+psycopg://u:p@127.0.0.1/x\n")
    monkeypatch.setenv("DGIS__CATALOG__URL_FILE", str(tmp_path / "url"))
    assert settings.load().catalog.url == "postgresql+psycopg://u:p@127.0.0.1/x"


def test_a_list_in_the_environment_is_json(monkeypatch):
    monkeypatch.setenv("DGIS__DICOM__PEERS", '[{"ae_title": "ONLY", "may": ["find"]}]')
    assert [peer.ae_title for peer in settings.load().dicom.peers] == ["ONLY"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[gateway]\nhom = "x"\n', "unknown key gateway.hom; did you mean home?"),
        ("[publsh]\n", "unknown key publsh; did you mean publish?"),
        ('[[nodes]]\nkind = "folder"\nname = "a"\npath = "p"\nsit = "x"\n', "did you mean site?"),
        ('[dicom]\nae_title = "SEVENTEEN_LETTERS"\n', "1 to 16 printable"),
        ("[placement]\ncopies = 1\nwrite_quorum = 2\n", "write_quorum cannot exceed copies"),
        (
            '[[nodes]]\nkind = "folder"\nname = "a"\npath = "p"\n',
            "placement: copies is 3 but there are 1 nodes",
        ),
        (
            '[[dicom.peers]]\nae_title = "A"\naddresses = ["10.0.0.0/8"]\nmay = ["phi"]\n',
            "allow_phi_by_address = true",
        ),
        ("not toml", "not valid TOML"),
    ],
)
def test_a_wrong_file_names_the_key_and_what_would_be_right(tmp_path, text, message):
    with pytest.raises(settings.ConfigurationError) as caught:
        settings.load(write(tmp_path, text))
    assert message in str(caught.value)


def test_a_wrong_environment_variable_is_named(monkeypatch):
    monkeypatch.setenv("DGIS__PUBLSH__X", "1")
    with pytest.raises(settings.ConfigurationError, match="did you mean publish"):
        settings.load()


def test_secrets_do_not_show_in_what_is_printed(tmp_path):
    node = '[[nodes]]\nkind="s3"\nname="n"\nendpoint="e"\nbucket="b"\nsealed_bucket="s"\naccess_key="k"\n'
    file = write(tmp_path, f'[placement]\ncopies=1\nwrite_quorum=1\n{node}secret_key="TOPSECRET"\n')
    effective = settings.load(file)
    assert "TOPSECRET" not in repr(effective)
    assert "TOPSECRET" not in effective.model_dump_json()


def test_a_database_password_does_not_show_either(monkeypatch):
    monkeypatch.setenv("DGIS__CATALOG__URL", "postgresql+psycopg://u:TOPSECRET@db/dgis")
    effective = settings.load()
    assert effective.catalog.url.endswith("u:TOPSECRET@db/dgis")
    assert "TOPSECRET" not in repr(effective)
    assert "TOPSECRET" not in effective.model_dump_json()


def test_a_node_without_a_kind_is_a_folder_and_an_unknown_kind_is_named(tmp_path):
    file = tmp_path / "c.toml"
    node = '[placement]\ncopies = 1\nwrite_quorum = 1\n[[nodes]]\nname = "a"\npath = "/x"\n'
    file.write_text(node)
    assert [each.kind for each in settings.load(file).nodes] == ["folder"]
    file.write_text(node + 'kind = "tape"\n')
    with pytest.raises(settings.ConfigurationError, match=r'nodes\.0: kind is neither "folder" nor "s3"'):
        settings.load(file)

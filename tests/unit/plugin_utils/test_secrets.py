# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import math
import multiprocessing
import stat

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import secrets


def vault(phrase: bytes = b"a clinic's vault password") -> VaultLib:
    return VaultLib([("default", VaultSecret(phrase))])


def ensure_in_a_process(directory, queue):
    queue.put(secrets.Secrets(directory, vault()).ensure(("passwords", "alice")))


def test_a_password_has_at_least_128_bits_and_no_character_that_orthanc_or_basic_would_interpret():
    assert secrets.LENGTH * math.log2(len(set(secrets.ALPHABET))) >= 128
    assert not set("$:{}\"\\'IOlo01 ") & set(secrets.ALPHABET)
    made = {secrets.password() for _time in range(50)}
    assert len(made) == 50
    assert all(len(each) == 24 and set(each) <= set(secrets.ALPHABET) for each in made)


@pytest.mark.parametrize(("text", "steps"), [("", 0), ("aceg", 0), ("abc", 2), ("BaB", 2), ("z9A", 0), ("98ed", 2)])
def test_neighbours_of_the_alphabet_are_counted_as_cracklib_does(text, steps):
    assert secrets.steps(text) == steps


def test_no_password_is_made_that_cracklib_calls_systematic(monkeypatch):
    drawn = iter("abcdefghjkmnpqrstuvwxyz2" + "acegikmqsuwy2468ACEGKMQS")
    monkeypatch.setattr(secrets.secrets, "choice", lambda _alphabet: next(drawn))
    assert secrets.password() == "acegikmqsuwy2468ACEGKMQS"


def test_what_is_missing_is_made_saved_encrypted_and_found_again(tmp_path):
    here = secrets.Secrets(str(tmp_path / "clinic"), vault())
    assert here.get("passwords", "alice") is None
    made = here.ensure(("passwords", "alice"))
    phrase = here.ensure("authority_passphrase", lambda: "a phrase of the authority's own")
    file = tmp_path / "clinic" / "vault.yml"
    assert file.read_bytes().startswith(b"$ANSIBLE_VAULT;1.1;AES256\n")
    assert made.encode() not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(each.name for each in file.parent.iterdir()) == ["README", "vault.yml"]
    again = secrets.Secrets(str(tmp_path / "clinic"), vault())
    assert again.ensure(("passwords", "alice")) == made
    assert again.get("authority_passphrase") == phrase
    assert again.made == []
    assert here.made == ["passwords.alice", "authority_passphrase"]


def test_check_mode_makes_for_itself_only_and_says_so(tmp_path):
    here = secrets.Secrets(str(tmp_path / "clinic"), vault(), check_mode=True)
    assert here.ensure(("passwords", "alice")) == here.ensure(("passwords", "alice"))
    assert here.made == ["passwords.alice"]
    assert not (tmp_path / "clinic").exists()


def test_check_mode_needs_no_password_while_there_is_no_file(tmp_path):
    assert secrets.Secrets(str(tmp_path), VaultLib(None), check_mode=True).ensure("x")


def test_without_the_vaults_password_one_sentence_tells_how(tmp_path):
    with pytest.raises(HardeningError, match="--vault-password-file or ANSIBLE_VAULT_PASSWORD_FILE"):
        secrets.Secrets(str(tmp_path), VaultLib(None)).ensure("x")
    assert list(tmp_path.iterdir()) == []
    secrets.Secrets(str(tmp_path), vault()).ensure("x")
    with pytest.raises(HardeningError, match="to read it, give the vault's password"):
        secrets.Secrets(str(tmp_path), VaultLib(None)).get("x")
    with pytest.raises(HardeningError, match="does not open with this password"):
        secrets.Secrets(str(tmp_path), vault(b"another")).get("x")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"passwords: {alice: in clear}\n", "is not encrypted"),
        (vault().encrypt("- a\n- list\n"), "holds no mapping"),
        (vault().encrypt("a: [1\nb: }"), "line 2: not YAML"),
        (vault().encrypt("passwords: {alice: 12345}\n"), "passwords.alice is not text"),
    ],
)
def test_a_broken_file_is_refused_in_a_sentence_without_its_content(tmp_path, content, says):
    (tmp_path / "vault.yml").write_bytes(content)
    with pytest.raises(HardeningError, match=says) as refused:
        secrets.Secrets(str(tmp_path), vault()).ensure(("passwords", "alice"))
    assert "12345" not in str(refused.value)
    assert "in clear" not in str(refused.value)
    assert (tmp_path / "vault.yml").read_bytes() == content


def test_processes_side_by_side_agree_on_one_password(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=ensure_in_a_process, args=(str(tmp_path), queue)) for _time in range(6)]
    for each in processes:
        each.start()
    answers = {queue.get(timeout=60) for _process in processes}
    for each in processes:
        each.join()
    assert len(answers) == 1


def test_other_secrets_in_the_file_stay(tmp_path):
    (tmp_path / "vault.yml").write_bytes(vault().encrypt("note: kept\npasswords: {bruno: his own}\n"))
    here = secrets.Secrets(str(tmp_path), vault())
    here.ensure(("passwords", "alice"))
    assert here.get("note") == "kept"
    assert here.get("passwords", "bruno") == "his own"


def test_what_a_run_would_make_is_named_and_nothing_is_saved(tmp_path):
    asked = (("passwords", "alice"), ("passwords", "bruno"))
    assert secrets.Secrets(str(tmp_path), vault()).lacking(*asked) == ["passwords.alice", "passwords.bruno"]
    with pytest.raises(HardeningError, match="to write it, give the vault's password"):
        secrets.Secrets(str(tmp_path), VaultLib(None)).lacking(*asked)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "vault.yml").write_bytes(vault().encrypt("passwords: {alice: her own}\n"))
    assert secrets.Secrets(str(tmp_path), vault()).lacking(*asked) == ["passwords.bruno"]
    (tmp_path / "vault.yml").write_bytes(vault().encrypt("passwords: {alice: 12345}\n"))
    with pytest.raises(HardeningError, match=r"passwords\.alice is not text"):
        secrets.Secrets(str(tmp_path), vault()).lacking(*asked)

"""Where a fetch may go."""

import pytest
from pydantic import ValidationError
from yarl import URL

from sluice_api.media_types import MediaType
from sluice_retriever.fetching import bodies
from sluice_retriever.settings import RetrieverSettings
from sluice_servicekit.fetching import addresses
from sluice_servicekit.fetching.failures import FetchFailed, NotAllowed
from sluice_servicekit.fetching.policy import Policy

PUBLIC = Policy.parse("public", "80,443")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.64.0.1",
        "100.127.255.255",
        "0.0.0.0",
        "0.1.2.3",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "203.0.113.5",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_what_lies_inside_is_not_public(address: str) -> None:
    assert not addresses.is_public(addresses.parse(address))
    with pytest.raises(NotAllowed):
        PUBLIC.check("name.example", addresses.parse(address))


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34",
        "8.8.8.8",
        "172.15.0.1",
        "172.32.0.1",
        "100.128.0.1",
        "2606:4700::1111",
        "64:ff9b::808:808",
    ],
)
def test_what_anybody_can_reach_is_public(address: str) -> None:
    PUBLIC.check("name.example", addresses.parse(address))


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.com/a",
        "gopher://example.com/a",
        "data:text/plain,a",
        "/relative",
        "example.com/a",
        "http://",
        "http:///path",
        "http://user:secret@example.com/",
        "http://user@example.com/",
        "http://example.com:22/",
        "http://example.com:8080/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://example.com\\@127.0.0.1/",
        "http://example.com/a b",
        "http://example.com/\r\nhost: other",
        " http://example.com/",
    ],
)
def test_a_url_is_refused_by_its_own_words(url: str) -> None:
    with pytest.raises(NotAllowed) as caught:
        PUBLIC.target(url)
    assert str(caught.value).startswith("URL_NOT_ALLOWED: ")


@pytest.mark.parametrize("url", ["http://[::1", "http://example.com:99999/"])
def test_what_is_no_url_says_so(url: str) -> None:
    with pytest.raises((NotAllowed, FetchFailed)):
        PUBLIC.target(url)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://example.com/a?b=c#d", "https://example.com/a?b=c"),
        ("HTTP://EXAMPLE.com:80/", "http://example.com/"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/%C3%A4"),
        ("https://93.184.216.34/", "https://93.184.216.34/"),
    ],
)
def test_a_good_url_is_asked_for_without_its_fragment(url: str, asked: str) -> None:
    assert str(PUBLIC.target(url)) == asked


def test_a_redirect_is_a_url_like_any_other_and_never_gives_up_encryption() -> None:
    secure, plain = URL("https://a.example/b/c"), URL("http://a.example/b/c")

    assert str(PUBLIC.redirected(secure, "../d?e#f")) == "https://a.example/d?e"
    assert str(PUBLIC.redirected(plain, "https://b.example/")) == "https://b.example/"
    for location in (
        "http://a.example/",
        "file:///etc/passwd",
        "//u:p@a.example/",
        "//10.0.0.1/",
        "//a:8080/",
    ):
        with pytest.raises(NotAllowed):
            PUBLIC.redirected(secure, location)
    with pytest.raises(FetchFailed, match="no URL"):
        PUBLIC.redirected(secure, "https://[::1")


def test_networks_and_names_are_allowed_beside_the_public_internet() -> None:
    policy = Policy.parse("public, 10.1.0.0/16, wiki.corp.example, *.docs.example", "443,8443")

    policy.check("a.example", addresses.parse("10.1.2.3"))
    policy.check("a.example", addresses.parse("::ffff:10.1.2.3"))
    policy.check("a.example", addresses.parse("8.8.8.8"))
    policy.check("WIKI.corp.example.", addresses.parse("10.9.9.9"))
    policy.check("x.docs.example", addresses.parse("10.9.9.9"))
    for host, address in (
        ("a.example", "10.2.0.1"),
        ("docs.example", "10.9.9.9"),
        ("evildocs.example", "10.9.9.9"),
        ("wiki.corp.example.evil.example", "10.9.9.9"),
    ):
        with pytest.raises(NotAllowed):
            policy.check(host, addresses.parse(address))
    policy.target("https://a.example:8443/")
    with pytest.raises(NotAllowed):
        policy.target("http://a.example/")


def test_only_what_is_listed_is_allowed_without_the_public_internet() -> None:
    policy = Policy.parse("wiki.corp.example", "443")

    policy.check("wiki.corp.example", addresses.parse("10.9.9.9"))
    with pytest.raises(NotAllowed):
        policy.check("example.com", addresses.parse("93.184.216.34"))


@pytest.mark.parametrize("setting", ["off", "", " OFF "])
def test_fetching_can_be_off(setting: str) -> None:
    with pytest.raises(NotAllowed, match="fetches nothing"):
        Policy.parse(setting, "443").target("https://example.com/")


@pytest.mark.parametrize(
    ("fetch", "ports"),
    [
        ("off,public", "443"),
        ("10.0.0.1/8", "443"),
        ("10.0.0.300", "443"),
        ("http://a", "443"),
        ("public", "x"),
        ("public", "0"),
        ("public", "70000"),
    ],
)
def test_a_setting_without_meaning_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, fetch: str, ports: str
) -> None:
    monkeypatch.setenv("SLUICE_FETCH", fetch)
    monkeypatch.setenv("SLUICE_FETCH_PORTS", ports)

    with pytest.raises(ValidationError):
        RetrieverSettings()


@pytest.mark.parametrize(
    ("header", "path", "expected"),
    [
        ("text/html; charset=utf-8", "/a", MediaType.HTML),
        ("application/xhtml+xml", "/a", MediaType.HTML),
        ("text/plain", "/a.md", MediaType.MARKDOWN),
        ("text/plain", "/a.html", MediaType.PLAIN),
        ("application/octet-stream", "/a.pdf", MediaType.PDF),
        ("", "/a.pdf?download=1", MediaType.PDF),
        ("", "/a", ""),
        ("image/png", "/a.md", "image/png"),
    ],
)
def test_the_kind_is_what_the_header_says_else_the_path(header: str, path: str, expected: str) -> None:
    assert bodies.media_type(header, URL(f"http://a.example{path}")) == expected


@pytest.mark.parametrize(
    "charset", ["zlib", "rot13", "idna", "unicode_escape", "nonsense", "utf-16", "\udcff"]
)
def test_a_charset_that_does_not_fit_leaves_the_bytes_alone(charset: str) -> None:
    assert bodies.content(b"a\\u0041b", "", f"text/plain; charset={charset}") in (
        b"a\\u0041b",
        "\ufeffa\\u0041b".encode("utf-8-sig"),
        b"\xef\xbb\xbf" + b"a\\u0041b".decode("utf-16").encode(),
    )

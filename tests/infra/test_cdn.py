"""Checks what CloudFront caches of the program's pages, and runs its function."""

import json
import re

import pytest
import quickjs

from stacks import ROOT, template

RESOURCES = template("cdn")["Resources"]
CONFIG = RESOURCES["Distribution"]["Properties"]["DistributionConfig"]
# Managed policies.
CACHING_DISABLED, ALL_VIEWER = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "216adef6-5c7f-47e4-b989-5492eafa07d3"
ALL_METHODS = {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"}

# The pages that are the same for all visitors. Votes and reports are POSTs below one of them.
PUBLIC_PAGES = {"/", "/clasificacion", "/ayuda", "/privacidad", "/resultados/{slug}", "/resultados/{slug}/acta",
                "/videos/{video_id}",
                "/videos/{video_id}/portada.jpg", "/videos/{video_id}/votar", "/videos/{video_id}/reportar"}
ASSETS = {"/estatico/{build}/{file}"}


def routes():
    """The addresses of all pages and of their files."""
    source = (ROOT / "src/web.rs").read_text()
    return set(re.findall(r'(?:page|web::resource)\(\s*"([^"]+)"\s*\)', source))


def behaviour(path):
    """The first behaviour whose pattern matches, as CloudFront chooses it. A leading slash is optional."""
    for each in CONFIG["CacheBehaviors"]:
        pattern = re.escape("/" + each["PathPattern"].lstrip("/")).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(pattern, path):
            return each
    return CONFIG["DefaultCacheBehavior"]


def cached_by(policy):
    return {route for route in routes() if behaviour(route)["CachePolicyId"] == {"Ref": policy}}


def key(policy):
    return RESOURCES[policy]["Properties"]["CachePolicyConfig"]["ParametersInCacheKeyAndForwardedToOrigin"]


def test_only_public_pages_and_assets_are_cached():
    assert cached_by("PageCaching") == PUBLIC_PAGES
    assert cached_by("AssetCaching") == ASSETS
    for route in routes() - PUBLIC_PAGES - ASSETS:
        assert behaviour(route) is CONFIG["DefaultCacheBehavior"], route


def test_cached_pages_accept_every_method_and_forward_the_session():
    for route in PUBLIC_PAGES | {"/api/public/videos/1/vote"}:
        assert set(behaviour(route)["AllowedMethods"]) == ALL_METHODS
        assert behaviour(route)["OriginRequestPolicyId"] == ALL_VIEWER


def test_everything_else_is_neither_cached_nor_compressed():
    default = CONFIG["DefaultCacheBehavior"]
    assert (default["CachePolicyId"], default["OriginRequestPolicyId"]) == (CACHING_DISABLED, ALL_VIEWER)
    assert default["Compress"] is False and set(default["AllowedMethods"]) == ALL_METHODS
    # Server-sent events, which compression would hold back.
    for stream in ("/mis-videos/eventos", "/organizacion/eventos"):
        assert stream in routes() and behaviour(stream) is default


def test_no_policy_keeps_a_response_that_forbids_it():
    policies = [each["Properties"]["CachePolicyConfig"] for each in RESOURCES.values()
                if each["Type"] == "AWS::CloudFront::CachePolicy"]
    assert len(policies) == 4
    assert {each["MinTTL"] for each in policies} == {0}
    assert RESOURCES["AssetCaching"]["Properties"]["CachePolicyConfig"]["MaxTTL"] == 365 * 86400


def test_key_of_pages_has_the_parameters_that_pages_read():
    read = set()
    for page in ("gallery", "ranking", "contest"):
        source = (ROOT / f"src/web/pages/{page}.rs").read_text()
        (fields,) = re.findall(r"pub struct Filters \{(.*?)\n\}", source, re.S)
        read |= set(re.findall(r"^    (\w+): Option<String>,$", fields, re.M))
    strings = key("PageCaching")["QueryStringsConfig"]
    assert (strings["QueryStringBehavior"], set(strings["QueryStrings"])) == ("whitelist", read)


@pytest.mark.parametrize("policy", ["PageCaching", "AssetCaching", "PublicCaching"])
def test_both_encodings_are_cached_and_no_cookie_is_in_the_key(policy):
    assert key(policy)["EnableAcceptEncodingGzip"] is True and key(policy)["EnableAcceptEncodingBrotli"] is True
    assert key(policy)["CookiesConfig"] == {"CookieBehavior": "none"}


# --- the function ---

def handled(headers, cookies):
    """Runs the function on a request, as CloudFront passes it: names of headers in lower case, cookies apart."""
    context = quickjs.Context()
    # CloudFront runs functions in strict mode.
    context.eval("'use strict';\n" + RESOURCES["VisitorLanguage"]["Properties"]["FunctionCode"])
    event = {"version": "1.0", "context": {"eventType": "viewer-request"}, "viewer": {"ip": "198.51.100.11"},
             "request": {"method": "GET", "uri": "/", "querystring": {}, "headers": headers, "cookies": cookies}}
    return json.loads(context.eval(f"JSON.stringify(handler({json.dumps(event)}))"))


def chosen(header, **cookies):
    headers = {} if header is None else {"accept-language": {"value": header}}
    request = handled(headers, {name: {"value": value} for name, value in cookies.items()})
    return request["headers"]["accept-language"]


def program_cases():
    """The cases of the program's own test."""
    source = (ROOT / "src/language.rs").read_text()
    return re.findall(r'^ +\("([^"]*)", Language::(Spanish|English)\),$', source, re.M)


def test_program_has_cases():
    assert {language for _, language in program_cases()} == {"Spanish", "English"}


@pytest.mark.parametrize("header, language", program_cases())
def test_function_chooses_as_the_program(header, language):
    assert chosen(header) == {"value": {"Spanish": "es", "English": "en"}[language]}


@pytest.mark.parametrize("header, language", [
    (None, "es"),
    ("*", "es"),
    ("en, *;q=0.5", "en"),
    ("EN-gb", "en"),
    ("es-419,es;q=0.9,en;q=0.8", "es"),
    ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "en"),
    ("  en ; q=0.9 ,es;q=0.8 ", "en"),
    ("es,en", "es"),
    ("en,es", "en"),
    ("es;q=0,en;q=0.001", "en"),
    # Other languages, and what is no language.
    ("eng", "es"),
    ("en_US", "es"),
    ("est", "es"),
    ("en;q=1.2.3", "es"),
    ("en;level=1", "es"),
    (",;,q=1", "es"),
    ("en" * 2000, "es"),
])
def test_function_reads_the_header(header, language):
    assert chosen(header) == {"value": language}


@pytest.mark.parametrize("cookie, header, language", [
    ("en", "es-CO", "en"),
    ("es", "en-US", "es"),
    ("en", None, "en"),
    ("", "en", "en"),
    ("fr", "en", "en"),
    ("EN", "es", "es"),
    ("en-US", "es", "es"),
    ("%65n", "es", "es"),
])
def test_cookie_comes_first_if_it_names_a_language(cookie, header, language):
    assert chosen(header, idioma=cookie) == {"value": language}


def test_function_leaves_the_rest_of_the_request_alone():
    request = handled({"host": {"value": "anb.example"}, "accept-language": {"value": "en"}},
                      {"__Host-anb": {"value": "token"}, "idioma": {"value": "es"}})
    assert request == {
        "method": "GET", "uri": "/", "querystring": {},
        "headers": {"host": {"value": "anb.example"}, "accept-language": {"value": "es"}},
        # The program chooses by the header alone.
        "cookies": {"__Host-anb": {"value": "token"}}}


def test_repeated_headers_become_one():
    twice = {"value": "en", "multiValue": [{"value": "en"}, {"value": "fr"}]}
    assert handled({"accept-language": twice}, {})["headers"] == {"accept-language": {"value": "en"}}

"""campaign.toml: every mistake in it is named by its key, and all of them at once."""

from typing import Any

import pytest

from allocator.campaign import parse_config, read_campaign
from allocator.errors import Finding, InputError
from allocator.runs.check import check_campaign
from allocator.whatif.scenario import check_scenarios


def findings_of(folder: Any) -> tuple[Finding, ...]:
    with pytest.raises(InputError) as caught:
        check_scenarios(read_campaign(folder.path))
    return caught.value.findings


def one(folder: Any) -> Finding:
    found = findings_of(folder)
    assert len(found) == 1, [str(finding) for finding in found]
    assert found[0].file == "campaign.toml"
    return found[0]


def with_limit(tiny: Any, table: str) -> Any:
    text = (tiny.path / "campaign.toml").read_text()
    return tiny.write(campaign=f"{text}\n[[limits]]\n{table}\n")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('name = "tiny"', 'name = "tiny"\ncolour = "red"', "colour"),
        ('name = "tiny"', 'name = ""', "name"),
        ('name = "tiny"', "name = 5", "name"),
        ('name = "tiny"\n', "", "name"),
        ("schema = 1", "schema = 2", "schema"),
        ('currency = "USD"', 'currency = "dollars"', "currency"),
        ("as_of = 2026-06-01", 'as_of = "soon"', "as_of"),
        ('name = "tiny"', 'name = "tiny"\nseed = -1', "seed"),
        ('name = "tiny"', 'name = "tiny"\nseed = 1.5', "seed"),
        ("[copy]", '[copy]\nchannels = ["fax"]', "copy.channels[1]"),
        ("[copy]", '[copy]\nlanguages = ["en", "de"]', "copy.languages[2]"),
        ("[copy]", "[copy]\nlanguages = []", "copy.languages"),
        ("[copy]", '[copy]\nlanguages = ["en-GB", "en_gb"]', "copy.languages"),
        ("[copy]", "[copy]\nvariants = 0", "copy.variants"),
        ("[copy]", "[copy]\nvariants = 27", "copy.variants"),
        ("[copy]", '[copy]\nvariants = "2"', "copy.variants"),
        ("[copy]", '[copy]\nopt_out = { fr = "STOP au 36111" }', "copy.opt_out.fr"),
        ("[copy]", '[copy]\nopt_out = { zh = "拒收请回复R" }', "copy.opt_out"),
        ("[copy]", '[copy]\nopt_out = { en = "" }', "copy.opt_out.en"),
        ("[copy]", '[copy]\nmay_mention = ["citty"]', "copy.may_mention"),
        ("[copy]", '[copy]\ncolour = "red"', "copy.colour"),
        ("[copy]", "[objective]\nmargin = 1.5\n[copy]", "objective.margin"),
        ("[copy]", "[objective]\nmargin = nan\n[copy]", "objective.margin"),
        ("[copy]", '[objective]\nmaximize = "fame"\n[copy]', "objective.maximize"),
        ("[copy]", "[solve]\ngap = -1\n[copy]", "solve.gap"),
        ("[copy]", '[solve]\ntime_limit = "60"\n[copy]', "solve.time_limit"),
        ("[copy]", "[sending_cost]\nsms = -0.1\n[copy]", "sending_cost.sms"),
        ("[copy]", "[sending_cost]\nsms = nan\n[copy]", "sending_cost.sms"),
        ("[copy]", "[eligibility]\nmax_messages_7d = -1\n[copy]", "eligibility.max_messages_7d"),
    ],
)
def test_a_wrong_key_is_named(tiny: Any, old: str, new: str, key: str) -> None:
    assert one(tiny.replace("campaign.toml", old, new)).column == key


def test_what_is_no_toml_is_named_with_its_line(tiny: Any) -> None:
    found = one(tiny.replace("campaign.toml", 'name = "tiny"', "name = tiny"))
    assert "not valid TOML" in found.message
    assert "line 2" in found.message


def test_a_campaign_file_in_another_encoding_is_named(tiny: Any) -> None:
    assert "UTF-8" in one(tiny.write(campaign='name = "Käse"'.encode("latin-1"))).message


def test_a_byte_order_mark_is_welcome(tiny: Any) -> None:
    text = (tiny.path / "campaign.toml").read_bytes()
    assert read_campaign(tiny.write(campaign=b"\xef\xbb\xbf" + text).path).config.name == "tiny"


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        ('label = "x"', "limits[2].kind", "needs a kind"),
        ('kind = "ceiling"', "limits[2].kind", "unknown kind"),
        ('kind = "budget"\nlabel = "x"', "limits[2].at_most", "required"),
        ('kind = "budget"\nlabel = "x"\nat_mots = 3', "limits[2].at_mots", "unknown key"),
        ('kind = "budget"\nlabel = "x"\nat_most = "400"', "limits[2].at_most", "number"),
        ('kind = "budget"\nlabel = "x"\nat_most = true', "limits[2].at_most", "number"),
        ('kind = "budget"\nlabel = 7\nat_most = 3', "limits[2].label", "string"),
        ('kind = "budget"\nlabel = "x"\nat_most = 0', "limits[2].at_most", "more than 0"),
        ('kind = "budget"\nlabel = "x"\nat_most = -5', "limits[2].at_most", "more than 0"),
        ('kind = "budget"\nlabel = "x"\nat_most = nan', "limits[2].at_most", "finite"),
        ('kind = "budget"\nlabel = "x"\nat_most = inf', "limits[2].at_most", "finite"),
        (
            'kind = "budget"\nlabel = "x"\nat_most = 3\nat_least = 4',
            "limits[2].at_least",
            "more than at_most",
        ),
        ('kind = "budget"\nlabel = "total"\nat_most = 3', "limits[2].label", "already used by limits[1]"),
        ('kind = "budget"\nlabel = " "\nat_most = 3', "limits[2].label", "needs a label"),
        ('kind = "parity"\nby = "regoin"\ntolerance = 0.1', "limits[2]", "no such column"),
        ('kind = "parity"\nby = "user_id"\ntolerance = 0.1', "limits[2]", "no such column"),
        ('kind = "parity"\nby = "region"\ntolerance = -0.1', "limits[2].tolerance", "at least 0"),
        ('kind = "parity"\nby = "region"\ntolerance = 0.1\nrate = "x"', "limits[2].rate", "'assigned'"),
        ('kind = "floor"\nat_least = 1\nusers = { region = "west" }', "limits[2].region", "called this"),
        ('kind = "floor"\nat_least = 1\nusers = { city = "west" }', "limits[2]", "no such column"),
        ('kind = "floor"\nat_least = 1\ncoupons = ["C1", "C9"]', "limits[2].coupons", "unknown coupon"),
        ('kind = "floor"\nat_least = 1\nmeasure = "points"', "limits[2].measure", "unknown measure"),
        ('kind = "floor"\nat_least = 1\nper_head = "yes"', "limits[2].per_head", "boolean"),
        ('kind = "inventory"\nat_most = { C9 = 3 }', "limits[2].coupons", "unknown coupon"),
        ('kind = "inventory"', "limits[2].at_most", "inventory"),
        ('kind = "share"\nlabel = "x"\nat_most = 1.5\ncoupons = ["C1"]', "limits[2]", "between 0 and 1"),
        ('kind = "share"\nlabel = "x"\nat_most = 0.5', "limits[2].users", "must name"),
        ('kind = "capacity"\nat_most = 3\nchannel = "fax"', "limits[2].channel", "called this"),
    ],
)
def test_a_limit_that_cannot_be_is_named(tiny: Any, table: str, key: str, words: str) -> None:
    found = one(with_limit(tiny, table))
    assert found.column == key
    assert words in str(found)


def test_a_column_with_too_many_values_is_no_group(tiny: Any) -> None:
    rows = "".join(f"u{i},town{i}\n" for i in range(1, 700))
    tiny.write(users="user_id,town\n" + rows)
    assert (
        "too many to group by"
        in one(with_limit(tiny, 'kind = "parity"\nby = "town"\ntolerance = 0.1')).message
    )


@pytest.mark.parametrize(
    ("column", "words"),
    [("regoin", "no such column"), ("user_id", "no such column"), ("town", "too many to group by")],
)
def test_segments_need_a_column_with_few_values(tiny: Any, column: str, words: str) -> None:
    tiny.write(users="user_id,town\n" + "".join(f"u{i},town{i}\n" for i in range(1, 700)))
    found = one(tiny.replace("campaign.toml", "[copy]", f'[copy]\nsegment_by = "{column}"'))
    assert found.column == "copy.segment_by"
    assert words in found.message


def test_check_names_plugins_that_are_not_installed(tiny: Any) -> None:
    tiny.replace(
        "campaign.toml", 'writer = "template"', 'writer = "templat"\n[predict]\npredictor = "oracle"'
    )
    tiny.replace("campaign.toml", "[copy]", '[[scenarios]]\nname = "a"\ndrop_coupons = ["C9"]\n[copy]')
    with pytest.raises(InputError) as caught:
        check_campaign(tiny.path, thorough=True)
    columns = [finding.column for finding in caught.value.findings]
    assert columns[:2] == ["predict.predictor", "copy.writer"]
    assert "template" in str(caught.value.findings[1].expected)
    assert "unknown coupon" in caught.value.findings[2].message


def test_limits_may_count_any_measure_of_the_scores(tiny: Any) -> None:
    text = (tiny.path / "scores.csv").read_text().splitlines()
    tiny.write(scores="\n".join([text[0] + ",points", *(line + ",2" for line in text[1:])]))
    limit = 'kind = "budget"\nlabel = "points"\nmeasure = "points"\nat_most = 3'
    campaign = read_campaign(with_limit(tiny, limit).path)
    assert len(campaign.config.limits) == 2
    check_scenarios(campaign)


def test_limits_may_count_what_is_predicted(starter: Any) -> None:
    text = (starter / "campaign.toml").read_text()
    limit = '[[limits]]\nkind = "capacity"\nlabel = "x"\nat_most = 9\n[[limits]]\n' \
        'kind = "budget"\nlabel = "redeemed"\nmeasure = "redemptions"\nat_most = 90\n'  # fmt: skip
    (starter / "campaign.toml").write_text(text + limit)
    assert len(read_campaign(starter).config.limits) == 7


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('name = "a"\nset = { "totl.at_most" = 3 }', "unknown limit"),
        ('name = "a"\nset = { "total.at_mots" = 3 }', "unknown key"),
        ('name = "a"\nset = { "total.at_most" = nan }', "finite"),
        ('name = "a"\nset = { "total.at_most" = 0 }', "more than 0"),
        ('name = "a"\ndrop_coupons = ["C9"]', "unknown coupon"),
        ('name = "a"\ndrop_coupons = ["C1", "C2"]', "drops every coupon"),
        ('name = "a"\nscale = { uplift = -1 }', "negative"),
        ('name = "a"\nscale = { uplift = nan }', "finite"),
        ('name = "a"\nscale = { luck = 2 }', "scale.luck"),
        ('name = "a"\nturn = 2', "unknown key"),
        ("set = {}", "required"),
        ('name = "a"\n[[scenarios]]\nname = "a"', "one name"),
    ],
)
def test_a_scenario_that_cannot_be_is_named(tiny: Any, table: str, words: str) -> None:
    text = (tiny.path / "campaign.toml").read_text()
    assert words in str(one(tiny.write(campaign=f"{text}\n[[scenarios]]\n{table}\n")))


def test_mistakes_in_many_tables_are_reported_together() -> None:
    with pytest.raises(InputError) as caught:
        parse_config('name = 3\n[copy]\ntone = 4\n[solve]\nmethod = "luck"\n[objective]\nx = 1\n')
    assert {f.column for f in caught.value.findings} == {"name", "copy.tone", "solve.method", "objective.x"}

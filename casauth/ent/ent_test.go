package ent

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestEveryEntryIsCoherent(t *testing.T) {
	decoder := json.NewDecoder(bytes.NewReader(file))
	decoder.DisallowUnknownFields()
	var strict []ENT
	if err := decoder.Decode(&strict); err != nil {
		t.Fatal(err)
	}
	all := All()
	if len(all) < 100 || len(strict) != len(all) {
		t.Fatalf("%d entries", len(all))
	}
	keyForm := regexp.MustCompile(`^[a-z0-9]+([_-][a-z0-9]+)*$`)
	keys := make(map[string]ENT)
	for _, e := range all {
		if _, twice := keys[e.Key]; twice || !keyForm.MatchString(e.Key) {
			t.Errorf("%q: twice, or no key", e.Key)
		}
		keys[e.Key] = e
	}
	for _, e := range all {
		fail := func(format string, args ...any) {
			t.Helper()
			t.Errorf(e.Key+": "+format, args...)
		}
		if e.Name == "" || e.Source == "" {
			fail("name or source missing")
		}
		if len(e.Departements) == 0 && e.Area == "" {
			fail("neither départements nor area")
		}
		if !slices.IsSorted(e.Departements) || len(slices.Compact(slices.Clone(e.Departements))) != len(e.Departements) {
			fail("départements %v", e.Departements)
		}
		for _, code := range e.Departements {
			if departements[code] == "" {
				fail("no département %q", code)
			}
		}

		kinds := 0
		for _, is := range []bool{e.CASURL != "", e.Pattern != "", e.NotCAS != ""} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			fail("one of cas_url, cas_url_pattern, not_cas")
		}
		if e.NotCAS != "" {
			if e.LoginPage == "" || e.Protocol != "" || len(e.Sure)+len(e.Likely) > 0 {
				fail("no CAS server has no protocol, but a login page")
			}
			continue
		}
		if e.CASURL != "" {
			u, err := url.Parse(e.CASURL)
			if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
				strings.HasSuffix(e.CASURL, "/") || u.Host != strings.ToLower(u.Host) || u.String() != e.CASURL {
				fail("cas_url %q: %v", e.CASURL, err)
			}
		} else if !strings.HasPrefix(e.Pattern, "https://{host}") {
			fail("cas_url_pattern %q", e.Pattern)
		}

		known := slices.Concat(e.Sure, e.Likely)
		for _, p := range known {
			if !slices.Contains([]string{"cas1", "cas2", "cas3", "saml11"}, p) {
				fail("protocol %q", p)
			}
		}
		want := "cas2"
		if slices.Contains(known, "saml11") {
			want = "saml11"
		}
		if e.Protocol != want {
			fail("protocol %q where %v are known", e.Protocol, known)
		}
		if e.Evidence == "" {
			fail("nothing says how sure it is")
		}

		if e.ReplacedBy != "" {
			r := keys[e.ReplacedBy]
			if !e.Obsolete || !r.usable() || !slices.ContainsFunc(e.Departements, func(d string) bool { return slices.Contains(r.Departements, d) }) {
				fail("cannot be replaced by %q", e.ReplacedBy)
			}
		}
		for _, s := range e.Selections {
			if s == "" || url.QueryEscape(s) != s {
				fail("selection %q", s)
			}
		}
	}
}

func TestLookupReturnsWhatCanBeUsed(t *testing.T) {
	usable := 0
	for _, e := range All() {
		got, err := Lookup(e.Key)
		if (err == nil) != e.usable() {
			t.Errorf("%s: %v", e.Key, err)
		}
		if err == nil {
			usable++
			if got.Key != e.Key || got.CASURL == "" || got.Protocol == "" {
				t.Errorf("%s: %+v", e.Key, got)
			}
		} else if got.Key != "" || got.CASURL != "" {
			t.Errorf("%s: refused and returned", e.Key)
		}
	}
	if usable < 60 {
		t.Errorf("only %d can be used", usable)
	}

	e, err := Lookup(" Kosmos_Agora06 ")
	if err != nil || e.CASURL != "https://cas.agora06.fr" || e.Protocol != "saml11" || e.LoginParams()["selection"] != "EDU" {
		t.Errorf("%+v, %v", e, err)
	}
	e, err = Lookup("kosmos_occitanie")
	if err != nil || len(e.Selections) != 3 || e.LoginParams() != nil {
		t.Errorf("of several selections none is chosen: %+v, %v", e, err)
	}
	e, err = Lookup("toutatice")
	if err != nil || e.Protocol != "cas2" || e.LoginParams() != nil {
		t.Errorf("%+v, %v", e, err)
	}
}

// The person who reads the error has only this sentence to go by.
func TestLookupSaysWhatToWriteInstead(t *testing.T) {
	for key, words := range map[string][]string{
		"":                   {"no ENT", "perhaps"},
		"kosmos_agora6":      {"no ENT", "kosmos_agora06"},
		"agora06":            {"kosmos_agora06", "itop_agora06"},
		"occitanie":          {"kosmos_occitanie"},
		"Lycée Connecté":     {"entlibre_nouvelle-aquitaine"},
		"entmip":             {"no longer runs", "kosmos_occitanie"},
		"kosmos_elyco":       {"no longer runs", "itslearning_elyco"},
		"scolastance_alsace": {"no longer runs", "kosmos_grand-est"},
		"itop_oze_1d":        {"no longer runs", "cas_url"},
		"envole_ardennes":    {"each school", "cas_url https://{host}.ac-reims.fr:8443", "protocol cas2"},
		"ac_bordeaux2":       {"Shibboleth", "cas_url"},
	} {
		_, err := Lookup(key)
		if err == nil {
			t.Errorf("%q: no error", key)
			continue
		}
		for _, word := range words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%q: %v, which does not say %q", key, err, word)
			}
		}
	}
}

func TestSearch(t *testing.T) {
	for text, want := range map[string]string{
		"occitanie":           "kosmos_occitanie",
		"OCCITANIE":           "kosmos_occitanie",
		"ecollege 31":         "kosmos_ecollege31",
		"eCollège":            "kosmos_ecollege31",
		"31":                  "kosmos_occitanie",
		"haute garonne":       "kosmos_ecollege31",
		"Hérault":             "kosmos_occitanie",
		"herault":             "kosmos_occitanie",
		"2a":                  "itslearning_corse",
		"corse-du-sud":        "itslearning_corse",
		"1":                   "kosmos_01",
		"974":                 "lareunion",
		"réunion":             "lareunion",
		"val d'oise":          "kosmos_moncollege95",
		"edifice 75":          "entlibre_pcn",
		"monaco":              "itop_enteduc",
		"@ucollège":           "kosmos_aucollege84",
		"national":            "ecoledirecte",
		"seine saint denis":   "kosmos_webcollege93",
		"E\u0301clat bfc":     "kosmos_eclat-bfc",
		"grand-est monbureau": "",
		"zzz":                 "",
		"973":                 "",
	} {
		found := Search(text)
		has := slices.ContainsFunc(found, func(e ENT) bool { return e.Key == want })
		if want == "" && len(found) > 0 || want != "" && !has {
			t.Errorf("Search(%q) = %d ENTs, with %q: %v", text, len(found), want, has)
		}
		if len(found) == len(All()) {
			t.Errorf("Search(%q) finds everything", text)
		}
	}
	if len(Search(" ")) != len(All()) {
		t.Error("an empty text finds all")
	}
	for _, e := range Search("31") {
		if !slices.Contains(e.Departements, "31") && !strings.Contains(e.Key+e.Name, "31") {
			t.Errorf("31 found %s", e.Key)
		}
	}
}

func TestAllIsACopy(t *testing.T) {
	All()[0].Key = "changed"
	if All()[0].Key == "changed" {
		t.Error("a caller can change the list")
	}
}

package pages

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// everyText lists all texts of a language under a name that does not depend on
// the language; optional ones may be empty.
func everyText(t *tongue) (texts map[string]string, optional map[string]bool) {
	texts, optional = map[string]string{}, map[string]bool{}
	add := func(prefix string, of any, mayMiss ...string) {
		v := reflect.ValueOf(of)
		for i := range v.NumField() {
			name := prefix + "." + v.Type().Field(i).Name
			texts[name] = v.Field(i).String()
			optional[name] = slices.Contains(mayMiss, v.Type().Field(i).Name)
		}
	}
	for kind, w := range t.kinds {
		add("kind "+string(kind), w, "Admin", "Detail")
	}
	for cause, w := range t.causes {
		add("cause "+string(cause), w, "Next", "Admin", "Detail")
	}
	for e, s := range t.errors {
		texts["error "+string(e)] = s
	}
	for espace, s := range t.espaces {
		texts["espace "+espace] = s
	}
	add("label", t.labels)
	return texts, optional
}

var placeholder = regexp.MustCompile(`\{[^}]*\}|` + "`[^`]*`")

// TestNoTextIsMissing: a person must never meet an empty heading, a text in the
// other language, or a brace that nobody filled in.
func TestNoTextIsMissing(t *testing.T) {
	fr, optional := everyText(&french)
	en, _ := everyText(&english)
	for name := range en {
		if _, ok := fr[name]; !ok {
			t.Errorf("%s: missing in French", name)
		}
	}
	same := []string{"espace"} // none is, but names of Espaces may be
	for name, text := range fr {
		other, ok := en[name]
		if !ok {
			t.Errorf("%s: missing in English", name)
			continue
		}
		if (text == "") != (other == "") {
			t.Errorf("%s: empty in one language alone: %q, %q", name, text, other)
		}
		if text == "" && !optional[name] {
			t.Errorf("%s: empty", name)
		}
		if text != "" && text == other && !slices.Contains(same, strings.Fields(name)[0]) {
			t.Errorf("%s: not translated: %q", name, text)
		}
		if strings.TrimSpace(text) != text && name != "label.ErrorTitle" {
			t.Errorf("%s: blank at an end: %q", name, text)
		}
		a, b := placeholder.FindAllString(text, -1), placeholder.FindAllString(other, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%s: placeholders or code differ: %q, %q", name, a, b)
		}
		for _, s := range []string{text, other} {
			if strings.Count(s, "`")%2 != 0 {
				t.Errorf("%s: a backquote without its pair: %q", name, s)
			}
		}
	}
	for kind := range kinds {
		if _, ok := french.kinds[kind]; !ok {
			t.Errorf("kind %s has no texts", kind)
		}
	}
	if len(kinds) != len(french.kinds) {
		t.Errorf("%d kinds, %d texts", len(kinds), len(french.kinds))
	}
}

// TestTypography: apostrophes and guillemets are the printed ones, and no French
// sign that wants a space before it can be torn from its word.
func TestTypography(t *testing.T) {
	torn := regexp.MustCompile(`[^\x{00A0}\x{202F}:][;?!:](\s|$)|« | »| [;?!:]`)
	for _, language := range tongues {
		texts, _ := everyText(language)
		for name, text := range texts {
			prose := placeholder.ReplaceAllString(text, "x")
			if strings.ContainsAny(prose, `'"`) || strings.Contains(prose, "...") || strings.Contains(prose, "  ") {
				t.Errorf("%s %s: typewriter signs: %q", language.tag, name, text)
			}
			if language == &french && torn.MatchString(language.typeset(text)) {
				t.Errorf("%s: a space can break: %q", name, text)
			}
		}
	}
}

// TestCausesAreClosed: every constant has a sentence, or the page falls silent.
func TestCausesAreClosed(t *testing.T) {
	all := []Cause{
		CauseTicket, CauseService, CauseCookies, CauseClock, CauseProxyTicket, CausePerson,
		CauseConflict, CauseAmbiguous, CauseLogoutMessage, CauseEncodedSlash, CauseBackslash,
		CauseReserved, CauseDotSegment, CauseDoubleSlash, CauseSemicolon, CauseHash, CauseAfterPage,
		CauseEncoding, CauseHost,
	}
	for _, cause := range all {
		if french.causes[cause].Lead == "" {
			t.Errorf("cause %s has no sentence", cause)
		}
	}
	if len(all) != len(french.causes) {
		t.Errorf("%d causes, %d sentences", len(all), len(french.causes))
	}
}

func TestLanguage(t *testing.T) {
	for accept, want := range map[string]string{
		"":                                    "fr",
		"*":                                   "fr",
		"fr":                                  "fr",
		"fr-CA":                               "fr",
		"en":                                  "en",
		"EN-us":                               "en",
		"en-GB,en;q=0.9,fr;q=0.8":             "en",
		"fr-FR,fr;q=0.9,en;q=0.8":             "fr",
		"en;q=0.2,fr;q=0.8":                   "fr",
		"en;q=0,fr;q=0.1":                     "fr",
		"de-DE,de;q=0.9,en;q=0.8":             "en",
		"de-DE,de;q=0.9":                      "fr",
		"br":                                  "fr",
		"ar":                                  "fr",
		"tr-TR, en;q=0.5":                     "en",
		"\xff\xfe;;,,q=":                      "fr",
		"en;q=oops":                           "fr",
		strings.Repeat("en-", 5000):           "fr",
		strings.Repeat("de,", 300) + "en":     "en",
		"zh-Hant-TW,pt;q=0.9, en-AU;q = 0.1":  "en",
		"i-klingon, fr-Latn-FR-x-private;q=1": "fr",
	} {
		w := render(Page{Kind: NotFound}, http.MethodGet, accept)
		if got := w.Header().Get("Content-Language"); got != want {
			t.Errorf("%.40q: got %s, want %s", accept, got, want)
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header["Accept-Language"] = []string{"de", "en"}
	if got := speak(r).tag; got != "en" {
		t.Errorf("two header lines: got %s, want en", got)
	}
}

func TestWaitAndDate(t *testing.T) {
	for wait, want := range map[time.Duration][2]string{
		0:                 {"quelques minutes", "a few minutes"},
		time.Second:       {"quelques secondes", "a few seconds"},
		16 * time.Second:  {"une minute", "one minute"},
		61 * time.Second:  {"2 minutes", "2 minutes"},
		59 * time.Minute:  {"59 minutes", "59 minutes"},
		60 * time.Minute:  {"une heure", "one hour"},
		61 * time.Minute:  {"2 heures", "2 hours"},
		121 * time.Minute: {"3 heures", "3 hours"},
	} {
		for i, language := range tongues {
			if got := language.filler(Page{RetryAfter: wait})("{wait}"); got != want[i] {
				t.Errorf("%s in %s: got %q, want %q", wait, language.tag, got, want[i])
			}
		}
	}
	at := time.Date(2026, time.August, 1, 9, 5, 7, 0, time.FixedZone("CEST", 7200))
	for language, want := range map[*tongue]string{
		&french: "1er août 2026 à 09:05:07 CEST", &english: "1 August 2026 at 09:05:07 CEST",
	} {
		if got := language.date(at); got != want {
			t.Errorf("%s: got %q, want %q", language.tag, got, want)
		}
	}
}

// A page says what happened and then why: "no identifier was found" and "the
// identifier belongs to somebody else" cannot both be true.
func TestAConflictIsNotCalledAMissingIdentifier(t *testing.T) {
	for _, tongue := range tongues {
		said, because := tongue.say(Page{Kind: UnknownIdentifier, Cause: CauseConflict})
		if because == "" || strings.Contains(said.Lead, "identifi") {
			t.Errorf("%s: %s %s", tongue.tag, said.Lead, because)
		}
	}
}

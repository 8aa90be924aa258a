package directory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// taken checks what must hold of any file: it is refused with both sentences, or
// taken with rows that are whole, valid and different.
func taken(t *testing.T, data string) {
	f, err := readFile(strings.NewReader(data), 1<<20, nil)
	if err != nil {
		var refused *ImportError
		if !errors.As(err, &refused) || refused.En == "" || refused.Fr == "" {
			t.Fatalf("refused without a sentence: %v", err)
		}
		return
	}
	if len(f.lines) == 0 {
		t.Fatal("taken with nobody in it")
	}
	ids, users := make(map[string]bool), make(map[string]bool)
	for _, l := range f.lines {
		if id, ok := identifier(l.PronoteID); !ok || id != l.PronoteID || ids[id] || l.User != "" && users[l.User] {
			t.Fatalf("%+v", l)
		}
		ids[l.PronoteID], users[l.User] = true, true
		for _, value := range []string{l.User, l.LastName, l.FirstName} {
			if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) || utf8.RuneCountInString(value) > maxValue || value != strings.TrimSpace(value) {
				t.Fatalf("%q", value)
			}
		}
		if date, ok := ParseDate(l.BirthDate); l.BirthDate != "" && (!ok || date != l.BirthDate) {
			t.Fatalf("%q", l.BirthDate)
		}
		if l.Number < 1 || l.Number > strings.Count(data, "\n")+1 && !strings.ContainsAny(data, "\r\x00") {
			t.Fatalf("line %d of %d", l.Number, strings.Count(data, "\n")+1)
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{school, letters, asTSV, asCSV, people(3, 0), "sep=;\n" + school, "idpronote\n" + lea, "\xFF\xFEi\x00", "idpn;nom\n" + lea + ";\xE9t\xE9\n", "idpn,nom\n" + lea + ",\"a\nb\"\n"} {
		f.Add(seed)
	}
	f.Fuzz(taken)
}

func FuzzXML(f *testing.F) {
	for _, encoding := range []string{"UTF-8", "windows-1252", "utf-16"} {
		f.Add(fmt.Sprintf(asXML, encoding))
	}
	for _, seed := range []string{
		`<a IDPN="` + lea + `"/>`, `<Eleve><IDPN>` + lea + `</IDPN><Nom>x<!-- --></Nom></Eleve>`, `<!DOCTYPE a><a/>`,
		`<EXPORT_INDEX_EDUCATION/>`, "\xFE\xFF\x00<\x00a\x00/\x00>", `<a><b>` + lea + `</b></a>`, `<?xml version="1.0" encoding='iso-8859-15'?><a idpn="` + lea + `" nom="` + "\xBC" + `"/>`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data string) {
		if !strings.HasPrefix(data, "<") && !strings.HasPrefix(data, "\xEF") && !strings.HasPrefix(data, "\xFE") && !strings.HasPrefix(data, "\xFF") {
			data = "<" + data
		}
		taken(t, data)
	})
}

func FuzzDate(f *testing.F) {
	for _, seed := range []string{"07/03/2012", "07032012", "20120307", "2012-03-07T00:00:00Z", "7.3.2012", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		date, ok := ParseDate(s)
		if again, fine := ParseDate(date); ok != fine || again != date {
			t.Fatalf("%q is %q is %q", s, date, again)
		}
	})
}

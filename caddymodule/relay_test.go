package caddymodule

import (
	"encoding/json"
	"strings"
	"testing"
)

const relayed = "https://pronote.example.fr/pronote-cas"

// documents are InfoMobileApp.json as PRONOTE, or somebody else, may write it,
// with CASURL where the address stands that is to be replaced.
var documents = map[string]string{
	"as in a capture":       `{"version":[2020,0,3,4],"date":"2021-05-05T20:00:00+02:00","modeModif":false,"CAS":{"actif":true,"casURL":CASURL,"jetonCAS":"A1"},"espaces":[{"nom":"Espace Élèves","URL":"mobile.eleve.html"}],"nomEtab":"COLLEGE"}`,
	"numbers kept":          `{"a":12345678901234567890,"b":1.50,"c":1e3,"d":-0.0,"CAS":{"n":1.0E+2,"casURL":CASURL},"e":0.1000}`,
	"blanks and line ends":  "{\r\n\t\"CAS\" :\t{ \"x\" : [ ] , \"casURL\"\n:\n" + `CASURL , "y":{}` + "\r\n} }\r\n",
	"escapes kept":          `{"CAS":{"a":"\u00e9\/<&>","casURL":CASURL,"b":"\ud83d\ude00"},"html":"<&>"}`,
	"a name in escapes":     `{"C\u0041S":{"cas\u0055RL":CASURL}}`,
	"objects before":        `{"x":{"CAS":{"casURL":"http://192.168.222.60"}},"y":[{"casURL":"http://192.168.222.60"}],"CAS":{"z":{"casURL":"a"},"casURL":CASURL}}`,
	"a byte order mark":     "\ufeff" + `{"CAS":{"casURL":CASURL}}`,
	"with what follows":     `{"CAS":{"casURL":CASURL}}` + "\n\x00not JSON",
	"not only of our times": `{"CAS":{"casURL":CASURL,"casURL2":"http://x"},"nouveau":{"a":[1,[2,{"b":null}]]}}`,
}

// unchanged are documents with nothing to replace.
var unchanged = map[string]string{
	"empty":              ``,
	"blank":              " \n",
	"no delegation":      `{"CAS":{"actif":false}}`,
	"without CAS":        `{"version":[2025,1,4]}`,
	"casURL elsewhere":   `{"casURL":"http://192.168.222.60","cas":{"casURL":"a"},"CAS":{"x":{"casURL":"b"}}}`,
	"casURL is null":     `{"CAS":{"casURL":null}}`,
	"casURL is a list":   `{"CAS":{"casURL":["a"]}}`,
	"casURL is a number": `{"CAS":{"casURL":1}}`,
	"CAS is a text":      `{"CAS":"casURL"}`,
	"CAS is a list":      `{"CAS":[{"casURL":"a"}]}`,
	"CAS is null":        `{"CAS":null,"casURL":"a"}`,
	"a list":             `[{"CAS":{"casURL":"a"}}]`,
	"a text":             `"CAS"`,
	"an HTML page":       `<html>HTTP Error 503</html>`,
	"broken before":      `{"a":,"CAS":{"casURL":"a"}}`,
	"broken in it":       `{"CAS":{"casURL":"a`,
	"half":               `{"CAS":{`,
	"a value as name":    `{"x":"CAS","y":{"casURL":"a"}}`,
	"deep":               strings.Repeat(`{"a":`, 20000),
}

func TestOnlyCASURLIsReplaced(t *testing.T) {
	for name, document := range documents {
		for _, before := range []string{`"https://cas.ent.example"`, `""`, `"a\"},{\\"`, `"é\u00e9"`} {
			got := string(withCASURL([]byte(strings.ReplaceAll(document, "CASURL", before)), relayed))
			if want := strings.ReplaceAll(document, "CASURL", `"`+relayed+`"`); got != want {
				t.Errorf("%s with %s:\n%s\nwant\n%s", name, before, got, want)
			}
		}
	}
	for name, document := range unchanged {
		if got := string(withCASURL([]byte(document), relayed)); got != document {
			t.Errorf("%s: %q becomes %q", name, document, got)
		}
	}
}

// What comes out of a document is the same document but for that one text.
func FuzzWithCASURL(f *testing.F) {
	for _, document := range documents {
		f.Add([]byte(strings.ReplaceAll(document, "CASURL", `"https://cas.ent.example"`)))
	}
	for _, document := range unchanged {
		if len(document) < 1000 {
			f.Add([]byte(document))
		}
	}
	f.Fuzz(func(t *testing.T, document []byte) {
		got := withCASURL(document, relayed)
		if json.Valid(document) != json.Valid(got) {
			t.Errorf("%q becomes %q", document, got)
		}
		if again := withCASURL(got, relayed); string(again) != string(got) {
			t.Errorf("%q becomes %q, and then %q", document, got, again)
		}
	})
}

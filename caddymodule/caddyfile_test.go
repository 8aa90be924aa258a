package caddymodule

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// adapt turns a Caddyfile into JSON, indented.
func adapt(file string) (string, error) {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(file), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return "", err
	}
	var value any
	if err := json.Unmarshal(adapted, &value); err != nil {
		return "", err
	}
	pretty, err := json.MarshalIndent(value, "", "\t")
	return string(pretty) + "\n", err
}

// block is a Caddyfile with lines in the directive's block, the first at line 4.
func block(lines string) string {
	file := "http://pronote.example.fr {\n\tpronote_cas {\n\t\t# line 3\n" + lines + "\n"
	for _, required := range []string{"cas_url https://cas.example.fr", "public_url https://pronote.example.fr"} {
		name, _, _ := strings.Cut(required, " ")
		if !strings.Contains("\n"+lines, "\n"+name) && !strings.Contains(lines, "#no "+name) && !(name == "cas_url" && strings.Contains("\n"+lines, "\nent ")) {
			file += required + "\n"
		}
	}
	return file + "\t}\n\treverse_proxy 127.0.0.1:1\n}\n"
}

// Every refusal names the file, the line, the field and what would be right; what
// went through instead would be a gate that its owner believes to be shut.
var refused = []struct {
	lines, at string // at: the line, "" for that of the directive
	want      string
}{
	{"#no cas_url", "2", "cas_url: is missing"},
	{"#no public_url", "2", "public_url: is missing"},
	{"cas_url http://cas.example.fr", "4", "cas_url: "},
	{"cas_url ftp://cas.example.fr", "4", "cas_url: "},
	{"cas_url cas.example.fr", "4", "cas_url: "},
	{"cas_url https://u:p@cas.example.fr", "4", "cas_url: "},
	{"cas_url https://cas.example.fr/?a=b", "4", "cas_url: "},
	{"cas_url", "4", "cas_url needs a value"},
	{`cas_url ""`, "4", "cas_url needs a value"},
	{"cas_url https://a.fr https://b.fr", "4", `"https://b.fr" too much`},
	{"cas_url https://a.fr {\nrenew\n}", "5", "no block belongs here"},
	{"ent nowhere", "4", "ent: "},
	{"protocol cas4", "4", "protocol: "},
	{"protocol SAML11", "4", "protocol: "},
	{"login_url http://cas.example.fr/login", "4", "login_url: "},
	{"validate_url http://cas.example.fr/v", "4", "validate_url: "},
	{"logout_url logout", "4", "logout_url: "},
	{"login_param selection", "4", "login_param takes a name and a value"},
	{"login_param a b c", "4", `"c" too much`},
	{"login_param a b\nlogin_param service x", "5", "login_param service: "},
	{"login_param TARGET x", "4", "login_param TARGET: "},
	{"login_param renew true", "4", "login_param renew: "},
	{"login_param gateway true", "4", "login_param gateway: "},
	{"login_param method POST", "4", "login_param method: "},
	{"login_param ticket ST-1", "4", "login_param ticket: "},
	{"login_param SAMLart ST-1", "4", "login_param SAMLart: "},
	{"renew on", "4", `"on" too much`},
	{"cas_timeout soon", "4", "cas_timeout: "},
	{"cas_timeout 0", "4", "cas_timeout: "},
	{"cas_timeout -5s", "4", "cas_timeout: "},
	{"cas_trust_pool", "4", "cas_trust_pool needs a module"},
	{"cas_trust_pool nothing", "4", "tls.ca_pool.source.nothing"},
	{"public_url https://pronote.example.fr/pronote/", "4", "public_url: "},
	{"public_url https://pronote.example.fr?x", "4", "public_url: "},
	{"public_url pronote.example.fr", "4", "public_url: "},
	{"internal_url", "4", "internal_url needs at least one value"},
	{"internal_url http://a.fr 192.168.222.60", "4", "internal_url 192.168.222.60: "},
	{"internal_url http://a.fr\ninternal_url http://b.fr/?x", "5", "internal_url http://b.fr/?x: "},
	{"internal_url http://a.fr https://PRONOTE.example.fr:443", "4", "is public_url itself"},
	{"service_url https://other.example.fr/eleve.html", "4", "service_url: "},
	{"service_url https://pronote.example.fr", "4", "service_url: "},
	{"service_url https://pronote.example.fr/eleve.html?ticket=x", "4", "service_url: "},
	{"service_url https://pronote.example.fr/a//b", "4", "service_url: "},
	{"service_url https://pronote.example.fr/pronote-cas/", "4", "service_url: "},
	{"service_url https://pronote.example.fr.evil.example/", "4", "service_url: "},
	{"root /pronote/eleve.html", "4", "root: "},
	{"root /a//b/", "4", "root: "},
	{"root /pronote-cas/", "4", "root: "},
	{"root /%70/", "4", "root: "},
	{"espace eleves", "4", "espace takes names and then cas, none or require"},
	{"espace eleve none", "4", "espace eleve: "},
	{"espace eleves parents maybe", "4", "espace eleves: "},
	{"espace eleves none\nespace parents eleves cas", "5", "espace eleves stands twice"},
	{"espace commune cas\nespace eleves none", "4", "espace commune: "},
	{"espace eleves none\nespace entreprise commune cas", "5", "espace commune: "},
	{"open", "4", "open needs at least one value"},
	{"open a", "4", "open a: "},
	{"open /a /b/../c", "4", "open /b/../c: "},
	{"open /a\nopen /%62", "5", "open /%62: "},
	{"direct_login yes", "4", "direct_login: "},
	{"mobile_app on", "4", "mobile_app: "},
	{"identifier", "4", "identifier needs at least one value"},
	{`identifier a ""`, "4", "identifier needs at least one value"},
	{"cas_identifier", "4", "cas_identifier needs a value"},
	{"unresolved maybe", "4", "unresolved: "},
	{"espace require categories National_1", "4", "espace … require takes names before it"},
	{"espace eleves require categories", "4", "espace … require takes names before it"},
	{"espace eleves require categories A\nespace parents eleves require categories B", "5", "espace eleves require stands twice"},
	{"espace recteurs require categories A", "4", "require recteurs: "},
	{"espace eleves require categories A -", "4", "require eleves: "},
	{"espace tuteur require categories A", "4", "require tuteur: "},
	{"espace eleves none\nespace parents eleves require categories A", "5", "require eleves: "},
	{"identifier_header X:Y", "4", "identifier_header: "},
	{"identifier_header Host", "4", "identifier_header: "},
	{"identifier_header X_Forwarded.For", "4", "identifier_header: "},
	{"identifier_header Sec-Pronote", "4", "identifier_header: "},
	{"identifier_header Content_Type", "4", "identifier_header: "},
	{"user_header Cookie", "4", "user_header: "},
	{"user_header Via", "4", "user_header: "},
	{"user_header x.pronote_id", "4", "carries something else"},
	{"attribute_header sn", "4", "attribute_header takes an attribute and a header"},
	{"attribute_header sn X-A\nattribute_header sn X-Ä", "5", "attribute_header sn: "},
	{"attribute_header sn X-A\nattribute_header gn x_a", "5", "carries something else"},
	{"single_logout yes", "4", "single_logout: "},
	{"session 10h", "4", "session takes a block"},
	{"session {\nlife 10h\n}", "5", `"life"`},
	{"session {\nstore redis\n}", "5", "session store: "},
	{"session {\nttl\n}", "5", "ttl needs a value"},
	{"session {\nttl 0\n}", "5", "ttl: "},
	{"session {\nttl 1h\nidle 2h\n}", "6", "session idle: "},
	{"session {\ngrace -1s\n}", "5", "grace: "},
	{"session {\ncookie_name __Host-x\n}", "5", "session cookie_name: "},
	{"session {\ncookie_name \"a b\"\n}", "5", "session cookie_name: "},
	{"session {\ncookie_name " + strings.Repeat("a", 65) + "\n}", "5", "session cookie_name: "},
	{"session {\nsame_site strict\n}", "5", "session same_site: "},
	{"public_url http://pronote.example.fr\nsession {\nsame_site none\n}", "6", "session same_site: "},
	{"session {\nttl 1h\nttl 2h\n}", "6", "stands twice"},
	{"whatever", "4", `unknown subdirective "whatever"`},
	{"relay {\n}", "4", "relay"},
	{"relay {\nallow_from 192.168.222.60\nticket_ttl 6m\n}", "6", "relay ticket_ttl: "},
	{"directory off", "4", "directory takes a block"},
	{"directory {\nwhatever\n}", "5", `unknown subdirective "whatever" of directory`},
	{"directory {\nfile /dev/null\n}", "5", "directory file: /dev/null is a file: name a folder"},
	{"directory {\nmatch name on\n}", "5", "match takes identity"},
	{"directory {\nmatch identity maybe\n}", "5", "directory match: "},
	{"directory {\nmatch identity\n}", "5", "needs a value"},
	{"directory {\nretention 30d\nretention 60d\n}", "6", "stands twice"},
	{"directory {\nretention 24h\n}", "5", "directory retention: the retention of the directory is at least 720h"},
	{"directory {\nattributes {\nname nom\n}\n}", "6", `unknown subdirective "name" of attributes`},
	{"directory {\nattributes {\nlast_name nom\nlast_name sn\n}\n}", "7", "stands twice"},
}

func TestRefusalsNameFileLineAndField(t *testing.T) {
	for _, test := range refused {
		_, err := adapt(block(test.lines))
		if err == nil {
			t.Errorf("%q is not refused", test.lines)
			continue
		}
		if message := err.Error(); !strings.Contains(message, test.want) || !strings.Contains(message, "Caddyfile:"+test.at) {
			t.Errorf("%q: %s; want %q and Caddyfile:%s", test.lines, message, test.want, test.at)
		}
	}
	if _, err := adapt("http:// {\n\tpronote_cas x {\n\t}\n}"); err == nil || !strings.Contains(err.Error(), "Caddyfile:2") {
		t.Errorf("an argument: %v", err)
	}
}

// full has each line that may stand once; of those that may stand several times,
// two.
const full = `cas_url https://cas.example.fr
protocol cas3
login_url https://cas.example.fr/in
validate_url https://cas.example.fr/check
logout_url https://cas.example.fr/out
renew
cas_timeout 5s
public_url https://pronote.example.fr
service_url https://pronote.example.fr/eleve.html
root /
direct_login deny
mobile_app deny
identifier idPronote
cas_identifier subject
espace eleves accompagnant require categories National_1 Élève
unresolved ask
identifier_header X-Pronote-Id
user_header X-Cas-User
single_logout on
session {
store storage
ttl 10h
idle 2h
grace 5m
cookie_name pronote_cas
same_site lax
}
login_param selection EDU
login_param lang fr
internal_url http://192.168.222.60
internal_url http://192.168.222.60:82
espace entreprise none
espace tuteur academie none
open /a
open /b
attribute_header nom X-Nom
attribute_header sn X-Sn`

func TestALineTwiceIsRefused(t *testing.T) {
	if _, err := adapt(block(full)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(full, "\n")
	session := false
	for n, line := range lines {
		name, _, _ := strings.Cut(line, " ")
		switch {
		case name == "session":
			session = true
			continue
		case name == "}":
			session = false
			continue
		case name == "login_param" || name == "internal_url" || name == "espace" || name == "open" || name == "attribute_header":
			continue
		}
		twice := strings.Join(append(append(append([]string{}, lines[:n+1]...), line), lines[n+1:]...), "\n")
		_, err := adapt(block(twice))
		if err == nil || !strings.Contains(err.Error(), "stands twice") || !strings.Contains(err.Error(), fmt.Sprintf("Caddyfile:%d", 4+n+1)) || !strings.Contains(err.Error(), fmt.Sprintf("line %d", 4+n)) {
			t.Errorf("%s twice (in session: %v): %v", name, session, err)
		}
	}
	if _, err := adapt(block(full + "\nsession {\n}")); err == nil || !strings.Contains(err.Error(), "stands twice") {
		t.Errorf("session twice: %v", err)
	}
}

// A configuration that a program writes meets the same refusals as a person's.
func TestJSONMeetsTheSameRefusals(t *testing.T) {
	for field, values := range map[string]string{
		"cas_url":                   `"cas_url":"http://cas.example.fr"`,
		"public_url":                `"public_url":"https://pronote.example.fr/x"`,
		"ent":                       `"ent":"nowhere"`,
		"protocol":                  `"protocol":"cas4"`,
		"login_url":                 `"login_url":"http://cas.example.fr"`,
		"validate_url":              `"validate_url":"x"`,
		"logout_url":                `"logout_url":"http://cas.example.fr"`,
		"login_param service":       `"login_param":[{"name":"service","value":"x"}]`,
		"login_param ":              `"login_param":[{"value":"x"}]`,
		"cas_timeout":               `"cas_timeout":-1`,
		"internal_url x":            `"internal_url":["x"]`,
		"internal_url: is empty in": `"internal_url":["http://a.fr",""]`,
		"service_url":               `"service_url":"https://other.example.fr/"`,
		"root":                      `"root":"/a/../b/"`,
		"espace eleve":              `"espace":{"eleve":"none"}`,
		"espace eleves":             `"espace":{"eleves":"on"}`,
		"espace commune":            `"espace":{"eleves":"none","commune":"cas"}`,
		"open a":                    `"open":["a"]`,
		"open: is empty":            `"open":[""]`,
		"relay allow_from: is":      `"relay":{"allow_from":[""]}`,
		"relay ticket_ttl":          `"relay":{"allow_from":["192.168.222.60"],"ticket_ttl":-1}`,
		"relay service: is":         `"relay":{"allow_from":["192.168.222.60"],"service":[""]}`,
		"direct_login":              `"direct_login":"yes"`,
		"mobile_app":                `"mobile_app":"yes"`,
		"identifier":                `"identifier":[""]`,
		"unresolved":                `"unresolved":"maybe"`,
		"require recteur":           `"require":{"recteur":{"attribute":"a","values":["b"]}}`,
		"require eleves":            `"require":{"eleves":{"attribute":"a"}}`,
		"require parents":           `"require":{"parents":null}`,
		"require tuteur":            `"require":{"tuteur":{"attribute":"a","values":["b"]}}`,
		"directory file":            `"directory":{"file":"/dev/null"}`,
		"directory match":           `"directory":{"match":{"identity":"yes"}}`,
		"directory retention":       `"directory":{"retention":1000}`,
		"identifier_header":         `"identifier_header":"a b"`,
		"user_header":               `"user_header":"Host"`,
		"attribute_header sn":       `"attribute_header":[{"attribute":"sn"}]`,
		"attribute_header ":         `"attribute_header":[{"name":"X-A"}]`,
		"attribute_header nom":      `"attribute_header":[{"attribute":"nom","name":"x_pronote.id"}]`,
		"single_logout":             `"single_logout":"maybe"`,
		"session store":             `"session":{"store":"redis"}`,
		"session ttl":               `"session":{"ttl":-1}`,
		"session idle":              `"session":{"ttl":1000000000,"idle":2000000000}`,
		"session grace":             `"session":{"grace":-1}`,
		"session cookie_name":       `"session":{"cookie_name":"a;b"}`,
		"session same_site":         `"session":{"same_site":"Lax"}`,
		"public_url: is missing":    `"public_url":""`,
		"cas_url: is missing":       `"cas_url":""`,
		"cas_trust_pool":            `"cas_trust_pool":{"provider":"file","pem_files":["/nowhere.pem"]}`,
		"cas_trust_pool: ":          `"cas_trust_pool":{"provider":"nowhere"}`,
		"cas_trust_pool: holds":     `"cas_trust_pool":{"provider":"file","pem_files":["/dev/null"]}`,
		"cas_url: {env.PC_NOT_SET}": `"cas_url":"{env.PC_NOT_SET}"`,
	} {
		fields := map[string]any{"handler": "pronote_cas", "cas_url": "https://cas.example.fr", "public_url": "https://pronote.example.fr"}
		if err := json.Unmarshal([]byte("{"+values+"}"), &fields); err != nil {
			t.Fatal(err)
		}
		err := validateHandler(t, fields)
		name, _, _ := strings.Cut(field, ": {")
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", values, err)
		}
	}
	if err := validateHandler(t, map[string]any{"handler": "pronote_cas", "cas_url": "https://cas.example.fr", "public_url": "https://pronote.example.fr", "typo": 1}); err == nil {
		t.Error("an unknown field is not refused")
	}
}

// validateHandler does with one handler what `caddy validate` does.
func validateHandler(t *testing.T, fields map[string]any) error {
	t.Helper()
	config, err := json.Marshal(map[string]any{
		"admin":   map[string]any{"disabled": true},
		"logging": map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "discard"}}}},
		"storage": map[string]any{"module": "file_system", "root": filepath.Join(t.TempDir(), "data")},
		"apps": map[string]any{"http": map[string]any{"servers": map[string]any{"a": map[string]any{
			"listen": []string{"127.0.0.1:0"}, "routes": []any{map[string]any{"handle": []any{fields}}}}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	parsed := new(caddy.Config)
	if err := caddy.StrictUnmarshalJSON(config, parsed); err != nil {
		return err
	}
	return caddy.Validate(parsed)
}

// What an env value or a file says is known at the start only; what is missing or
// wrong there is refused then, by the name of its field.
func TestPlaceholdersAreReadAndJudgedAtTheStart(t *testing.T) {
	t.Setenv("PC_CAS", "https://cas.example.fr")
	t.Setenv("PC_BAD", "http://cas.example.fr")
	t.Setenv("PC_EMPTY", "")
	file := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(file, []byte("https://cas.example.fr"), 0o600); err != nil {
		t.Fatal(err)
	}
	for value, want := range map[string]string{
		"{env.PC_CAS}": "", "{file." + file + "}": "",
		"{env.PC_BAD}": "cas_url: ", "{env.PC_EMPTY}": "cas_url: ", "{env.PC_UNSET}": "cas_url: ", "{file./nowhere}": "cas_url: ", "{nothing.known}": "cas_url: ",
	} {
		if _, err := adapt(block("cas_url " + value)); err != nil {
			t.Errorf("%s: adapting: %v", value, err)
		}
		err := validateHandler(t, map[string]any{"handler": "pronote_cas", "cas_url": value, "public_url": "https://pronote.example.fr"})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", value, err, want)
		}
	}
	for _, field := range []string{"ent", "protocol", "login_url", "validate_url", "logout_url", "public_url", "service_url", "root", "direct_login", "mobile_app",
		"cas_identifier", "identifier_header", "user_header", "single_logout"} {
		fields := map[string]any{"handler": "pronote_cas", "cas_url": "https://cas.example.fr", "public_url": "https://pronote.example.fr", field: "{env.PC_UNSET}"}
		if err := validateHandler(t, fields); err == nil || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s of an env value that is not set: %v", field, err)
		}
	}
}

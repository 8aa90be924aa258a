package caddymodule

import (
	"strings"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
)

// words are what is said of a finding. {…} stands for a fact.
type words struct {
	what  string // what is so
	cause string // why, where it is not plain
	cure  string // what to do
	toENT string // to be sent to the ENT's help desk, where only the ENT can act
}

// tables are all words, by the name that a finding has for them.
var tables = map[language]map[string]words{en: checkEnglish, fr: checkFrench}

// say returns the words of a finding, with its facts.
func (c *checker) say(f finding) words {
	said := tables[c.speaks][f.words]
	said.toENT = checkFrench[f.words].toENT
	declare := "declare"
	if c.gate.ServiceURL != "" {
		declare = "declare_exactly"
	}
	pairs := []string{
		"{public}", c.gate.Public.String(), "{home}", c.service(), "{root}", c.gate.Root,
		"{below}", c.below(), "{relay}", c.gate.Public.String() + strings.TrimSuffix(casauth.Prefix, "/"),
		"{protocol}", string(c.gate.CAS.Protocol), "{login_url}", c.gate.LoginURL, "{validate_url}", c.gate.CAS.ValidateURL,
	}
	for name, fact := range f.facts {
		pairs = append(pairs, "{"+name+"}", printable(fact))
	}
	fill := strings.NewReplacer(pairs...)
	pairs = append(pairs, "{declare}", fill.Replace(checkFrench[declare].toENT))
	fill = strings.NewReplacer(pairs...)
	for _, sentence := range []*string{&said.what, &said.cause, &said.cure, &said.toENT} {
		*sentence = fill.Replace(*sentence)
	}
	return said
}

// below is what the services begin with that the ENT has to know. With the relay,
// PRONOTE's own logins start beside its root.
func (c *checker) below() string {
	if c.gate.Relay != nil {
		return c.gate.Public.String() + "/"
	}
	return c.gate.Home()
}

// printable is text from outside as a terminal may show it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

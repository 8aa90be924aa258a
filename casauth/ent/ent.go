// Package ent is the list of French ENTs that serve as CAS servers, as data:
// address, protocol and what else their login wants, with how sure each is and
// where it comes from. It saves a school from guessing; cas_url and protocol in
// the configuration stand above it where it is wrong.
package ent

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

//go:embed ents.json
var file []byte

// ENT is one entry of the list.
type ENT struct {
	Key          string   `json:"key"`                       // what the configuration names it by
	Name         string   `json:"name"`                      // as people know it
	Departements []string `json:"departements"`              // codes as in "09", "2A", "974"; none for those of no département
	Area         string   `json:"area,omitempty"`            // "national", "étranger", "Monaco": beside or instead of départements
	CASURL       string   `json:"cas_url,omitempty"`         // base address, to which /login and the like are added
	Protocol     string   `json:"protocol,omitempty"`        // what to validate by: "saml11" where the ENT is known or likely to have it, else "cas2"
	Selections   []string `json:"selections,omitempty"`      // values of the login parameter "selection", each the door of one kind of people
	Vendor       string   `json:"vendor,omitempty"`          // the platform
	Obsolete     bool     `json:"obsolete,omitempty"`        // no longer runs
	ReplacedBy   string   `json:"replaced_by,omitempty"`     // key of its successor, if there is one that can be named
	NotCAS       string   `json:"not_cas,omitempty"`         // what it is, if it is no CAS server
	LoginPage    string   `json:"login_page,omitempty"`      // where people log in, if it is no CAS server
	Pattern      string   `json:"cas_url_pattern,omitempty"` // instead of CASURL where every school has its own server

	// How far to trust the entry: protocols that somebody uses or documents,
	// protocols inferred from the platform, the words for both, whether the
	// address is inferred, and the public sources.
	Sure            []string `json:"sure,omitempty"`
	Likely          []string `json:"likely,omitempty"`
	Evidence        string   `json:"evidence,omitempty"`
	AddressInferred bool     `json:"address_inferred,omitempty"`
	Source          string   `json:"source"`
}

// list is the file, read when it is first asked for.
var list = sync.OnceValue(func() (ents []ENT) {
	if err := json.Unmarshal(file, &ents); err != nil {
		panic("ents.json: " + err.Error())
	}
	return ents
})

// All returns the whole list, those that no longer run and those that are no
// CAS server included.
func All() []ENT {
	return slices.Clone(list())
}

// LoginParams returns what is added to the login address: the selection, if the
// ENT is known to have exactly one. One that is the door of pupils and parents
// alone is left out, and where there are several the school has to choose
// (login_param selection …): without one the ENT asks people who they are.
func (e ENT) LoginParams() map[string]string {
	if len(e.Selections) != 1 || strings.Contains(e.Selections[0], "parent") {
		return nil
	}
	return map[string]string{"selection": e.Selections[0]}
}

// Lookup returns the ENT of that key, case-blind, ready for use: it runs, is a
// CAS server and has one address. Every error says why not and what to write
// instead.
func Lookup(key string) (ENT, error) {
	key = strings.ToLower(strings.TrimSpace(key))
	ents := list()
	i := slices.IndexFunc(ents, func(e ENT) bool { return e.Key == key })
	if i < 0 {
		return ENT{}, fmt.Errorf("no ENT has the key %q%s", key, didYouMean(key))
	}
	e := ents[i]
	switch {
	case e.NotCAS != "":
		return ENT{}, fmt.Errorf("%s (%s) is %s: ask its help desk for a CAS address and write it as cas_url", key, e.Name, e.NotCAS)
	case e.Obsolete && e.ReplacedBy != "":
		return ENT{}, fmt.Errorf("%s (%s) no longer runs: write %s instead", key, e.Name, e.ReplacedBy)
	case e.Obsolete:
		return ENT{}, fmt.Errorf("%s (%s) no longer runs%s", key, e.Name, today(e))
	case e.Pattern != "":
		return ENT{}, fmt.Errorf("%s (%s) has one server for each school: write cas_url %s with your own, and protocol %s", key, e.Name, e.Pattern, e.Protocol)
	}
	return e, nil
}

// usable reports whether Lookup would return the ENT.
func (e ENT) usable() bool {
	return e.CASURL != "" && !e.Obsolete && e.NotCAS == ""
}

// today says which ENTs run in the départements of one that does not.
func today(gone ENT) string {
	var keys []string
	for _, e := range list() {
		if e.usable() && slices.ContainsFunc(e.Departements, func(d string) bool { return slices.Contains(gone.Departements, d) }) {
			keys = append(keys, e.Key)
		}
	}
	if len(keys) == 0 {
		return ": ask the school which ENT it has now, and write its address as cas_url if it is not in the list"
	}
	return "; in the same départements there are today: " + strings.Join(keys, ", ")
}

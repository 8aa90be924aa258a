package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func traceCommand() *cobra.Command {
	var o operator
	var user, trip string
	cmd := &cobra.Command{
		Use:   "trace CODE | --user ID | --trip TRIP",
		Short: "Tells what happened to whoever is on the phone",
		Long: `
Tells what happened to somebody, from this node's own memory of the last 24 hours:
the login that a page's code belongs to, step by step, and what else the same person
met with in the hours around.

	caddy pronote-cas trace K7QX-3MB
	caddy pronote-cas trace --user c.durand
	caddy pronote-cas trace --trip 1f0a77c2

Nobody is named: a person is a pseudonym, the same one as in the log.`,
		Args: cobra.MaximumNArgs(4), // a code with blanks in it
		RunE: func(cmd *cobra.Command, words []string) error {
			res, err := o.trace(strings.Join(words, ""), trip, user)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			if o.json {
				_, err = io.Copy(cmd.OutOrStdout(), res.Body)
				return err
			}
			var t told
			if err := json.NewDecoder(res.Body).Decode(&t); err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), tell(t.Entries, spoken()))
			return err
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&user, "user", "", "the CAS identifier of the person")
	cmd.Flags().StringVar(&trip, "trip", "", "a trip, as the log names it")
	return cmd
}

// trace asks for whichever of the three is given.
func (o *operator) trace(code, trip, user string) (*http.Response, error) {
	switch {
	case user != "" && code+trip != "":
		return nil, errors.New(oneThing.in(spoken()))
	case user != "":
		return o.post("trace", url.Values{"user": {user}})
	}
	return o.ask(http.MethodGet, "trace", url.Values{"code": {code}, "trip": {trip}}, nil)
}

// tell puts notes into words, one after the other, under each day's date.
func tell(notes []note, l language) string {
	var b strings.Builder
	day := ""
	for i := range notes {
		n := &notes[i]
		at := n.Time.Local()
		if today := at.Format(both{"2006-01-02", "02/01/2006"}.in(l)); today != day {
			if day != "" {
				b.WriteByte('\n')
			}
			day = today
			fmt.Fprintln(&b, day)
		}
		what, ok := happened[n.What]
		if !ok {
			what = both{n.What, n.What}
		}
		fmt.Fprintf(&b, "\n%s  %s", at.Format(time.TimeOnly), what.in(l))
		if n.Code != "" {
			fmt.Fprintf(&b, "  [%s]", n.Code)
		}
		b.WriteByte('\n')
		for _, line := range details(n, l) {
			fmt.Fprintf(&b, "          %s\n", line)
		}
	}
	return b.String()
}

// details are the lines below what happened: where and who, and, where something was
// wrong, what that means and what to do about it.
func details(n *note, l language) []string {
	var facts []string
	fact := func(name both, value string) {
		if value != "" {
			facts = append(facts, strings.TrimSpace(name.in(l)+" "+value))
		}
	}
	fact(both{"Espace", "Espace"}, n.Espace)
	fact(both{}, n.Path)
	fact(both{"person", "personne"}, n.Person)
	fact(both{"trip", "trajet"}, n.Trip)
	if n.Took > 0 {
		seconds := strconv.FormatFloat(n.Took, 'f', 2, 64) + " s"
		fact(both{"the ENT took", "réponse de l’ENT en"}, both{seconds, strings.Replace(seconds, ".", ",", 1)}.in(l))
	}
	if rule, ok := recognised[n.Rule]; ok {
		fact(both{}, rule.in(l))
	}
	lines := []string{strings.Join(facts, " · ")}
	if n.Reason == "" {
		return lines
	}
	because, ok := advised[n.Reason]
	if ok {
		lines = append(lines, because.means.in(l))
	}
	lines = append(lines, both{"In the log: ", "Dans le journal : "}.in(l)+strings.TrimSuffix(n.Reason+": "+n.Cause, ": "))
	if ok {
		lines = append(lines, "→ "+because.do.in(l))
	}
	return lines
}

package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
)

func sessionsCommand() *cobra.Command {
	var o operator
	cmd := &cobra.Command{
		Use:   "sessions [--json]",
		Short: "Lists who is logged in: since when, from where, for which Espace",
		Long: `
Lists the sessions of all nodes that share the storage. The first column names a
session for "revoke --session"; it opens nothing.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			res, err := o.ask(http.MethodGet, "sessions", nil, nil)
			if err != nil {
				return err
			}
			var all []casauth.Entry
			if err := hear(res, &all); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), all)
			}
			if len(all) == 0 {
				say(cmd, nobodyLoggedIn)
				return nil
			}
			return printSessions(cmd.OutOrStdout(), all)
		},
	}
	o.flags(cmd)
	return cmd
}

var nobodyLoggedIn = both{"Nobody is logged in.", "Personne n’est connecté."}

func revokeCommand() *cobra.Command {
	var o operator
	var user, session, profile string
	var all bool
	cmd := &cobra.Command{
		Use:   "revoke --user ID | --session ID | --profile PROFILE | --all",
		Short: "Ends sessions: a person's, one, a profile's, or all",
		Long: `
Ends sessions at once, on all nodes within a second, with the pages, downloads and
calls that are under way, and tells PRONOTE where the relay is on. Whoever is still
logged in at the ENT can come back through it.

	caddy pronote-cas revoke --user camille.durand
	caddy pronote-cas revoke --session 3f2a90c1d4e5
	caddy pronote-cas revoke --profile parents
	caddy pronote-cas revoke --all

A profile is what the ENT sends in categories, ENTPersonProfils, profile or profil,
such as National_2, or what it stands for.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			form := make(url.Values)
			for name, value := range map[string]string{"user": user, "session": session, "profile": profile} {
				if value != "" {
					form.Set(name, value)
				}
			}
			if all {
				form.Set("all", "true")
			}
			res, err := o.post("revoke", form)
			if err != nil {
				return err
			}
			var ended []casauth.Entry
			if err := hear(res, &ended); err != nil {
				return err
			}
			switch {
			case o.json:
				err = printJSON(cmd.OutOrStdout(), ended)
			case len(ended) > 0:
				err = printEnded(cmd.OutOrStdout(), ended)
			case all:
				say(cmd, nobodyLoggedIn)
			}
			if err == nil && len(ended) == 0 && !all {
				return errors.New(both{
					fmt.Sprintf("nothing to end: nobody is logged in as %q; `caddy pronote-cas sessions` shows who is", user+session+profile),
					fmt.Sprintf("rien à terminer : personne n’est connecté comme « %s » ; `caddy pronote-cas sessions` montre qui l’est", user+session+profile)}.in(spoken()))
			}
			return err
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&user, "user", "", "CAS identifier of the person")
	cmd.Flags().StringVar(&session, "session", "", "one session, by the name that the list of sessions gives it")
	cmd.Flags().StringVar(&profile, "profile", "", "everybody of a profile, such as National_2 or parents")
	cmd.Flags().BoolVar(&all, "all", false, "everybody")
	return cmd
}

// printEnded says how many sessions have ended, and whose.
func printEnded(out io.Writer, ended []casauth.Entry) error {
	if err := printSessions(out, ended); err != nil {
		return err
	}
	people := make(map[string]bool)
	for _, e := range ended {
		people[e.User] = true
	}
	_, err := fmt.Fprintf(out, both{"\nSessions ended: %d. People: %d.\n", "\nSessions terminées : %d. Personnes : %d.\n"}.in(spoken()), len(ended), len(people))
	return err
}

func printSessions(out io.Writer, all []casauth.Entry) error {
	t := newTable(out, both{
		"SESSION\tCAS IDENTIFIER\tPRONOTE IDENTIFIER\tESPACE\tFROM\tSINCE\tLAST SEEN\tUNTIL",
		"SESSION\tIDENTIFIANT CAS\tIDENTIFIANT PRONOTE\tESPACE\tADRESSE\tDEPUIS\tVU\tJUSQU’À"})
	for _, e := range all {
		t.row(e.ID, e.User, e.PronoteID, e.Espace, e.From, minute(e.Created), minute(e.Seen), minute(e.Expires))
	}
	return t.Flush()
}

// table is what an operator's terminal shows.
type table struct{ *tabwriter.Writer }

func newTable(out io.Writer, header both) table {
	t := table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	fmt.Fprintln(t, header.in(spoken())) // the Writer keeps errors for Flush
	return t
}

// row adds a row. What the ENT or a file says of people must not move the cursor of a
// terminal, or write into another column.
func (t table) row(cells ...string) {
	for i, cell := range cells {
		if cell == "" {
			cell = "–"
		}
		cells[i] = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
				return unicode.ReplacementChar
			}
			return r
		}, cell)
	}
	fmt.Fprintln(t, strings.Join(cells, "\t"))
}

// minute is a time where the operator is.
func minute(t time.Time) string { return moment(t, "2006-01-02 15:04") }

// moment is t, or nothing for no time at all.
func moment(t time.Time, layout string) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(layout)
}

// say prints a sentence where there is nothing to list.
func say(cmd *cobra.Command, what both) {
	fmt.Fprintln(cmd.OutOrStdout(), what.in(spoken()))
}

// hear reads an answer into value.
func hear(res *http.Response, value any) error {
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(value); err != nil {
		return brokenOff(err)
	}
	return nil
}

// brokenOff is why an answer was not read to its end.
func brokenOff(err error) error {
	return fmt.Errorf("%s%s %w", both{
		"Caddy's answer broke off or cannot be read",
		"la réponse de Caddy s’est interrompue ou ne peut être lue"}.in(spoken()), spoken().colon(), err)
}

func printJSON(out io.Writer, value any) error {
	lines := json.NewEncoder(out)
	lines.SetIndent("", "  ")
	lines.SetEscapeHTML(false)
	return lines.Encode(value)
}

package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/ent"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/protocol"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "pronote-cas",
		Short: "Tools for the PRONOTE CAS gate",
		Long: `
Tools for the people who run PRONOTE.net behind pronote_cas.

check     looks at the whole chain, from the public name to PRONOTE
demo      a whole school on this machine: ENT, proxy and PRONOTE.net stand-ins
ents      the built-in list of French ENTs
explain   what the plugin makes of a CAS answer that was saved to a file

These ask a Caddy that runs:

trace     what happened to whoever is on the phone, by the code on their page
sessions  who is logged in
revoke    ends sessions: a person's, a profile's, one, or all
import    tells the directory who is who, from a file that PRONOTE exported
export    who logged in without an identifier, conflicts, who never connected
directory who is in the directory
forget    erases a person`,
		CobraFunc: func(cmd *cobra.Command) {
			cmd.AddCommand(checkCommand(), demoCommand(), entsCommand(), explainCommand())
			cmd.AddCommand(traceCommand(), sessionsCommand(), revokeCommand())
			cmd.AddCommand(importCommand(), exportCommand(), directoryCommand(), forgetCommand())
			cmd.Args = cobra.NoArgs // or a command that does not exist would show this, and end well
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		},
	})
}

func explainCommand() *cobra.Command {
	var spoken, at string
	var against protocol.Context
	cmd := &cobra.Command{
		Use:   "explain [--protocol cas1|cas2|cas3|saml11|slo] [--service URL] [--at RFC3339] [--request-id ID] FILE...",
		Short: "Says what the plugin makes of a saved CAS answer, one line of JSON a file",
		Long: `
Says what the plugin makes of a CAS answer that was saved to a file, one line of
JSON each. What is not given is not judged: without --service the audience of a
SAML answer is not, without --at it is held against the present.

With --protocol slo the file is a logout message: the body of a POST or the
query of a GET.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			if at != "" {
				var err error
				if against.Now, err = time.Parse(time.RFC3339Nano, at); err != nil {
					return fmt.Errorf("--at %q: write a time such as 2026-03-10T09:00:00Z", at)
				}
			}
			var p protocol.Protocol
			if spoken != "slo" {
				var err error
				if p, err = protocol.ParseProtocol(spoken); err != nil {
					return fmt.Errorf("--protocol: %w; or slo, for a logout message", err)
				}
			}
			return explain(cmd.OutOrStdout(), p, against, files)
		},
	}
	cmd.Flags().StringVar(&spoken, "protocol", string(protocol.SAML11), "what the file holds: cas1, cas2, cas3, saml11 or slo")
	cmd.Flags().StringVar(&against.Service, "service", "", "the service that the ticket was asked for")
	cmd.Flags().StringVar(&at, "at", "", "when the answer came, RFC 3339")
	cmd.Flags().StringVar(&against.RequestID, "request-id", "", "RequestID of the SAML request")
	return cmd
}

// explain writes one line a file; p "" means logout messages.
func explain(out io.Writer, p protocol.Protocol, against protocol.Context, files []string) error {
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for _, file := range files {
		data, err := readFile(file)
		if err != nil {
			return err
		}
		var line any = protocol.ExplainLogout(file, data)
		if p != "" {
			line = protocol.Explain(file, p, data, against)
		}
		if err := lines.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// readFile reads no more than could be an answer: beyond that the verdict is known.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, protocol.MaxAnswer+1))
}

func entsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ents [--json] [NAME or DÉPARTEMENT...]",
		Short: "Lists the French ENTs that `ent` knows",
		Long: `
Lists the French ENTs that the subdirective "ent" knows, all or those that match:

	caddy pronote-cas ents
	caddy pronote-cas ents 31
	caddy pronote-cas ents val-de-marne

Where the list is wrong, cas_url, protocol and login_param in the Caddyfile
stand above it.`,
		RunE: func(cmd *cobra.Command, words []string) error {
			found := ent.All()
			if len(words) > 0 {
				found = ent.Search(strings.Join(words, " "))
			}
			if asJSON {
				if found == nil {
					found = []ent.ENT{}
				}
				lines := json.NewEncoder(cmd.OutOrStdout())
				lines.SetIndent("", "  ")
				lines.SetEscapeHTML(false)
				return lines.Encode(found)
			}
			if len(found) == 0 {
				return fmt.Errorf(both{
					"no ENT matches %q: try a département (31), or part of a name; `cas_url` takes any address",
					"aucun ENT ne correspond à « %s » : essayez un département (31) ou une partie du nom ; `cas_url` accepte toute adresse"}.in(spoken()), strings.Join(words, " "))
			}
			return listENTs(cmd.OutOrStdout(), found)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func listENTs(out io.Writer, ents []ent.ENT) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	in := spoken()
	fmt.Fprintln(table, both{"KEY\tNAME\tDÉPARTEMENTS\tADDRESS\tPROTOCOL", "CLÉ\tNOM\tDÉPARTEMENTS\tADRESSE\tPROTOCOLE"}.in(in))
	for _, e := range ents {
		address, spoken := e.CASURL, e.Protocol
		switch {
		case e.Obsolete:
			address = both{"(no longer runs)", "(n’existe plus)"}.in(in)
			if e.ReplacedBy != "" {
				address = fmt.Sprintf(both{"(no longer runs: see %s)", "(n’existe plus : voir %s)"}.in(in), e.ReplacedBy)
			}
		case e.NotCAS != "":
			address = both{"(no CAS server: " + e.NotCAS + ")", "(pas un serveur CAS)"}.in(in) // the list itself is in English
		case address == "":
			address = e.Pattern
		}
		if !slices.Contains(e.Sure, spoken) && spoken != "" {
			spoken += "?" // likely, not known
		}
		where := strings.Join(append(slices.Clone(e.Departements), strings.Fields(e.Area)...), " ")
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", e.Key, e.Name, where, address, spoken)
	}
	return table.Flush()
}

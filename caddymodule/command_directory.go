package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

func exportCommand() *cobra.Command {
	var o operator
	var output string
	cmd := &cobra.Command{
		Use:   "export [--output FILE] [--json]",
		Short: "Who logged in without a PRONOTE identifier, conflicts, who never connected",
		Long: `
Writes what the school's secretary has to look after, as a sheet (CSV) that Excel
and LibreOffice open, or as JSON: conflicts over a PRONOTE identifier, people who
logged in without one, and imported people who have never connected.

	caddy pronote-cas export --output suivi.csv

The file is for its owner alone to read: it is about people.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			header := http.Header{"Accept": {"text/csv"}}
			if o.json {
				header.Set("Accept", "application/json")
			}
			res, err := o.send(http.MethodGet, "export", url.Values{"lang": {string(spoken())}}, header, nil)
			if err != nil {
				return err
			}
			if !o.json {
				defer res.Body.Close()
				return writeOut(cmd, output, func(out io.Writer) error {
					_, err := io.Copy(out, res.Body)
					return err
				})
			}
			var export directory.Export
			if err := hear(res, &export); err != nil {
				return err
			}
			return writeOut(cmd, output, func(out io.Writer) error { return printJSON(out, export) })
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&output, "output", "", "file to write (default: standard output)")
	return cmd
}

// writeOut gives write the file called name, readable by nobody else, or the command's
// output for "" and "-".
func writeOut(cmd *cobra.Command, name string, write func(io.Writer) error) error {
	if name == "" || name == "-" {
		return write(cmd.OutOrStdout())
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if info, failed := file.Stat(); failed == nil && info.Mode().IsRegular() {
		err = file.Chmod(0o600) // it was there before, perhaps for all to read
	}
	if err == nil {
		err = write(file)
	}
	return errors.Join(err, file.Close())
}

func directoryCommand() *cobra.Command {
	var o operator
	cmd := &cobra.Command{
		Use:   "directory [SEARCH...] [--json]",
		Short: "Lists who is in the directory, all or those that match",
		Long: `
Lists who is who in PRONOTE, as imports and first connections have it. SEARCH is
parts of names or identifiers; whoever fits all of them is shown.

	caddy pronote-cas directory
	caddy pronote-cas directory durand camille
	caddy pronote-cas directory KT2AQ3UW4S98DPYX`,
		RunE: func(cmd *cobra.Command, words []string) error {
			search := strings.Join(words, " ")
			res, err := o.post("directory", url.Values{"q": {search}})
			if err != nil {
				return err
			}
			var rows []directory.Row
			if err := hear(res, &rows); err != nil {
				return err
			}
			switch {
			case o.json:
				err = printJSON(cmd.OutOrStdout(), rows)
			case len(rows) > 0:
				return printRows(cmd.OutOrStdout(), rows)
			case search == "":
				say(cmd, both{
					"The directory is empty: `caddy pronote-cas import` fills it, and so does each first connection.",
					"L’annuaire est vide : `caddy pronote-cas import` le remplit, et chaque première connexion aussi."})
			}
			if err == nil && len(rows) == 0 && search != "" {
				return errors.New(both{
					fmt.Sprintf("nobody in the directory fits %q", search),
					fmt.Sprintf("personne dans l’annuaire ne correspond à « %s »", search)}.in(spoken()))
			}
			return err
		},
	}
	o.flags(cmd)
	return cmd
}

func printRows(out io.Writer, rows []directory.Row) error {
	t := newTable(out, both{
		"PRONOTE IDENTIFIER\tCAS IDENTIFIER\tCATEGORY\tLAST NAME\tFIRST NAME\tBIRTH DATE\tSOURCE\tFIRST CONNECTION\tLAST CONNECTION",
		"IDENTIFIANT PRONOTE\tIDENTIFIANT CAS\tCATÉGORIE\tNOM\tPRÉNOM\tNÉ(E) LE\tORIGINE\tPREMIÈRE CONNEXION\tDERNIÈRE CONNEXION"})
	for _, r := range rows {
		source := sources[r.Source].in(spoken())
		if r.Retired {
			source += both{" (retired)", " (retiré)"}.in(spoken())
		}
		t.row(r.PronoteID, r.User, string(r.Category), r.LastName, r.FirstName, r.BirthDate, source,
			moment(r.FirstConnection, time.DateOnly), moment(r.LastConnection, time.DateOnly))
	}
	return t.Flush()
}

var sources = map[directory.Source]both{
	directory.Imported:        {"import", "import"},
	directory.FirstConnection: {"first connection", "première connexion"},
}

func forgetCommand() *cobra.Command {
	var o operator
	var user string
	var keep bool
	cmd := &cobra.Command{
		Use:   "forget --user ID [--keep-row]",
		Short: "Erases a person: what the directory knows of them, and their sessions",
		Long: `
Erases a person by their CAS identifier: binding, notes and imported row in the
directory, and ends their sessions. An import of a file that has the person brings
the row back, so take them out of PRONOTE's export first.

With --keep-row the imported row stays, without its CAS identifier: for a PRONOTE
identifier that the wrong person holds. The right one can then log in with it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			form := url.Values{"user": {user}}
			if keep {
				form.Set("keep_row", "true")
			}
			res, err := o.post("forget", form)
			if err != nil {
				return err
			}
			var done forgotten
			if err := hear(res, &done); err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), done)
			}
			what := both{"forgotten", "oublié"}
			switch {
			case !done.Known:
				what = both{"not in the directory", "absent de l’annuaire"}
			case keep:
				what = both{"no longer bound to a PRONOTE identifier", "n’est plus lié à un identifiant PRONOTE"}
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), both{"%s: %s. Sessions ended: %d.\n", "%s : %s. Sessions terminées : %d.\n"}.in(spoken()),
				user, what.in(spoken()), len(done.Sessions))
			return err
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&user, "user", "", "CAS identifier of the person")
	cmd.Flags().BoolVar(&keep, "keep-row", false, "leave the imported row, without its CAS identifier")
	return cmd
}

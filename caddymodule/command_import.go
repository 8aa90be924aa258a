package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

func importCommand() *cobra.Command {
	var o operator
	var mode string
	var dry bool
	cmd := &cobra.Command{
		Use:   "import --mode full|partial [--dry-run] FILE",
		Short: "Tells the directory who is who, from a file that PRONOTE exported",
		Long: `
Imports the file of "Exporter les identifiants PRONOTE" (XML), or a list copied from
the Client with its header row (CSV or TSV), into the directory; - is the standard
input. All of the file counts, or none of it.

--mode full     the file has everybody: who is not in it is retired, and removed
                when the next full import does not have them either
--mode partial  the file adds to what is there: nobody is retired

	caddy pronote-cas import --mode full --dry-run identifiants.xml
	caddy pronote-cas import --mode full identifiants.xml
	caddy pronote-cas import --mode partial nouveaux.csv`,
		RunE: func(cmd *cobra.Command, files []string) error {
			switch {
			case len(files) != 1:
				return errors.New(both{"name one file to import, or - for the standard input",
					"indiquez un fichier à importer, ou - pour l’entrée standard"}.in(spoken()))
			case mode != string(directory.Full) && mode != string(directory.Partial):
				return errors.New(both{
					"say what the file holds: --mode full (everybody: who is not in it has left the school) or --mode partial (some people, to be added to those already known)",
					"précisez ce que contient le fichier : --mode full (tout le monde : qui n’y figure pas a quitté l’établissement) ou --mode partial (quelques personnes, en complément de celles déjà connues)"}.in(spoken()))
			}
			file, err := openFile(cmd, files[0])
			if err != nil {
				return err
			}
			defer file.Close()
			query := url.Values{"mode": {mode}}
			if dry {
				query.Set("dry_run", "true")
			}
			// The file's name, which may be a person's, stays here: Caddy logs addresses.
			res, err := o.send(http.MethodPost, "import", query, http.Header{"Accept": {ndjson}, "Content-Type": {"application/octet-stream"}}, file)
			if err != nil {
				return err
			}
			defer res.Body.Close()
			report, err := await(cmd, res.Body)
			if err != nil {
				return err
			}
			if o.json {
				return printJSON(cmd.OutOrStdout(), report)
			}
			return printReport(cmd.OutOrStdout(), files[0], report)
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVar(&mode, "mode", "", "full (the file has everybody) or partial (it adds to what is there)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would happen, and change nothing")
	return cmd
}

// openFile opens the file called name, or the command's input for "-".
func openFile(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	file, err := os.Open(name)
	if err != nil {
		if broken, ok := errors.AsType[*fs.PathError](err); ok {
			err = broken.Err
		}
		return nil, fmt.Errorf("%s%s %w", fmt.Sprintf(both{
			"the file %q cannot be opened", "le fichier « %s » ne peut être ouvert"}.in(spoken()), name), spoken().colon(), err)
	}
	if info, err := file.Stat(); err == nil && info.IsDir() {
		_ = file.Close()
		return nil, fmt.Errorf(both{
			"%q is a folder: name the file in it", "« %s » est un dossier : indiquez le fichier qu’il contient"}.in(spoken()), name)
	}
	return file, nil
}

// await reads the answer to an import to its end, and shows at a terminal how far it is.
func await(cmd *cobra.Command, answer io.Reader) (directory.Report, error) {
	const width = 40
	watched := isTerminal(cmd.ErrOrStderr())
	lines := json.NewDecoder(answer)
	for {
		var line struct {
			both
			directory.Report
		}
		err := lines.Decode(&line)
		over := err != nil || line.En != "" || line.Mode != ""
		switch {
		case watched && over:
			fmt.Fprintf(cmd.ErrOrStderr(), "\r%*s\r", width, "")
		case watched:
			fmt.Fprintf(cmd.ErrOrStderr(), "\r%-*s", width, fmt.Sprintf(both{"%d people read…", "%d personnes lues…"}.in(spoken()), line.Read))
		}
		switch {
		case err != nil:
			return line.Report, brokenOff(err)
		case line.En != "":
			return line.Report, errors.New(line.in(spoken()))
		case over:
			return line.Report, nil
		}
	}
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// kinds are the categories of people, in the order of PRONOTE's own lists.
var kinds = []struct {
	category directory.Category
	both
}{
	{directory.Eleve, both{"pupils", "élèves"}},
	{directory.Responsable, both{"parents and guardians", "responsables"}},
	{directory.Professeur, both{"teachers", "professeurs"}},
	{directory.Personnel, both{"staff", "personnels"}},
	{directory.Accompagnant, both{"learning assistants", "accompagnants"}},
	{directory.Tuteur, both{"placement supervisors", "maîtres de stage"}},
	{"unknown", both{"without a category", "sans catégorie"}},
}

// printReport says what an import did; file is what the operator calls it.
func printReport(out io.Writer, file string, r directory.Report) error {
	var text strings.Builder
	in := spoken()
	title := both{"%s, mode %s, people read: %d\n", "%s, mode %s, personnes lues : %d\n"}
	if r.DryRun {
		title.En += "DRY RUN: nothing was changed. This is what would be.\n"
		title.Fr += "ESSAI : rien n’a été modifié. Voici ce qui le serait.\n"
	}
	fmt.Fprintf(&text, title.in(in)+"\n", file, r.Mode, r.Read)
	for _, line := range []struct {
		n int
		both
	}{
		{r.Added, both{"added", "ajoutées"}},
		{r.Updated, both{"updated", "modifiées"}},
		{r.Unchanged, both{"unchanged", "inchangées"}},
		{r.Retired, both{"retired: no longer in the file", "retirées : ne figurent plus dans le fichier"}},
		{r.Removed, both{"removed: absent for the second time", "supprimées : absentes pour la deuxième fois"}},
	} {
		fmt.Fprintf(&text, "%8d  %s\n", line.n, line.in(in))
	}
	text.WriteByte('\n')
	for _, kind := range kinds {
		if n := r.ByCategory[kind.category]; n > 0 {
			fmt.Fprintf(&text, "%8d  %s\n", n, kind.in(in))
		}
	}
	warnings := r.Warnings
	if in == fr {
		warnings = r.Avertissements
	}
	for _, warning := range warnings {
		text.WriteString("\n! " + warning + "\n")
	}
	_, err := io.WriteString(out, text.String())
	return err
}

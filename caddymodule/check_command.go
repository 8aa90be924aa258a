package caddymodule

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/address"
)

func checkCommand() *cobra.Command {
	o := new(operator)
	var login bool
	cmd := &cobra.Command{
		Use:   "check [--config FILE [--adapter NAME]] [--site URL] [--login] [--json]",
		Short: "Looks at the whole chain from the public name to PRONOTE, and says what to mend",
		Long: `
Looks, step by step, at all that a login needs: the public name and its
certificate, the ENT's CAS server and its clock, what it answers to a made-up
ticket, PRONOTE.net and where it redirects, the relay, the storage. Each trouble
comes with its cure and, where only the ENT can act, with the sentence to send.

The running Caddy is asked to look, with the settings that it works with. Before
the first start, give the configuration file:

	caddy pronote-cas check --config /etc/caddy/Caddyfile

With --login you log in by hand, and see what the ENT says of you and which
headers PRONOTE would get. No session is opened.

The exit status is 1 if something has to be mended.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p := &printer{out: cmd.OutOrStdout(), json: o.json, speaks: spoken(), count: make(map[result]int)}
			var whom examined = running{o}
			if o.config != "" {
				sites, err := fromFile(o)
				if err != nil {
					return err
				}
				whom = sites
			}
			var err error
			if login {
				err = byHand(cmd, whom, p)
			} else if err = whom.examine(cmd.Context(), p.line); err == nil {
				p.sum()
			}
			if err == nil && p.count[bad] > 0 {
				cmd.SilenceErrors = true // it has all been said
				return errors.New("something has to be mended")
			}
			return err
		},
	}
	o.flags(cmd)
	cmd.Flags().Lookup("config").Usage = "check this configuration file instead of the running Caddy"
	cmd.Flags().BoolVar(&login, "login", false, "walk a real login by hand")
	return cmd
}

// examined is what is looked at: a running Caddy, or a configuration.
type examined interface {
	examine(context.Context, func(line)) error
	setOut() (trip, error)
	comeBack(context.Context, ticketFor) (walked, error)
}

// running is the Caddy that people use, asked through its admin API.
type running struct{ *operator }

func (r running) post(name string, body io.Reader) (*http.Response, error) {
	res, err := r.ask(http.MethodPost, name, url.Values{"lang": {string(spoken())}}, body)
	if err != nil && errors.Unwrap(err) != nil { // nobody answered
		return nil, fmt.Errorf("%w\n%s", err, tables[spoken()]["config"].what)
	}
	return res, err
}

func (r running) examine(_ context.Context, report func(line)) error {
	res, err := r.post("check", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	for lines := json.NewDecoder(res.Body); ; {
		var l line
		if err := lines.Decode(&l); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		report(l)
	}
}

func (r running) setOut() (t trip, err error) { return t, r.exchange(nil, &t) }

func (r running) comeBack(_ context.Context, came ticketFor) (w walked, err error) {
	body, err := json.Marshal(came)
	if err != nil {
		return w, err
	}
	return w, r.exchange(bytes.NewReader(body), &w)
}

func (r running) exchange(body io.Reader, into any) error {
	res, err := r.post("check/login", body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into)
}

// configured are the sites of a configuration that need not run.
type configured []*checker

// fromFile provisions a configuration as `caddy validate` does: it listens nowhere.
func fromFile(o *operator) (configured, error) {
	quiet := func() *caddy.Logging { // people read the lines of the check
		return &caddy.Logging{Logs: map[string]*caddy.CustomLog{"default": {BaseLog: caddy.BaseLog{Level: "ERROR"}}}}
	}
	if _, err := caddy.ProvisionContext(&caddy.Config{Logging: quiet()}); err != nil {
		return nil, err
	}
	data, _, _, err := caddycmd.LoadConfig(o.config, o.adapter)
	if err != nil {
		return nil, err
	}
	var config *caddy.Config
	if err := caddy.StrictUnmarshalJSON(caddy.RemoveMetaFields(data), &config); err != nil {
		return nil, err
	}
	config.Logging = quiet()
	ctx, err := caddy.ProvisionContext(config)
	if err != nil {
		return nil, err
	}
	sites, err := sitesOf(ctx)
	if err != nil {
		return nil, err
	}
	if o.site != "" || len(sites) == 0 {
		one, refused := pickSite(sites, o.site)
		if refused != nil {
			return nil, errors.New(refused.in(spoken()))
		}
		sites = []*site{one}
	}
	var all configured
	for _, s := range sites {
		all = append(all, newChecker(ctx, s, spoken(), true))
	}
	return all, nil
}

func (c configured) examine(ctx context.Context, report func(line)) error {
	for _, one := range c {
		one.run(ctx, report)
	}
	return nil
}

func (c configured) setOut() (trip, error) {
	if len(c) > 1 {
		var sites []*site
		for _, one := range c {
			sites = append(sites, one.site)
		}
		_, refused := pickSite(sites, "")
		return trip{}, errors.New(refused.in(spoken()))
	}
	return c[0].trip(), nil
}

func (c configured) comeBack(ctx context.Context, came ticketFor) (walked, error) {
	return c[0].walk(ctx, came.Service, came.Ticket), nil
}

// byHand lets a person log in, and validates the ticket that they come back with.
func byHand(cmd *cobra.Command, whom examined, p *printer) error {
	t, err := whom.setOut()
	if err != nil {
		return err
	}
	fill := strings.NewReplacer("{service}", t.Service, "{public}", originOf(t.Service).String())
	tell := func(words string) { fmt.Fprint(cmd.ErrOrStderr(), fill.Replace(tables[p.speaks][words].what)) }
	tell("walk_open")
	fmt.Fprintf(cmd.ErrOrStderr(), "\n\n\t%s\n\n", t.LoginURL)
	if t.Exact {
		tell("walk_exact")
	} else {
		tell("walk_where")
	}
	fmt.Fprintln(cmd.ErrOrStderr())
	tell("walk_paste")
	pasted, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	ticket, ok := pastedTicket(pasted, t.Service)
	if !ok {
		said := tables[p.speaks]["walk_no_url"]
		return fmt.Errorf("%s%s %s", said.what, p.speaks.colon(), said.cure)
	}
	w, err := whom.comeBack(cmd.Context(), ticketFor{t.Service, ticket})
	if err != nil {
		return err
	}
	p.walked(w)
	return nil
}

// pastedTicket finds the one ticket in the address that a browser ended up at.
func pastedTicket(pasted, service string) (string, bool) {
	at, query, _ := strings.Cut(strings.TrimSpace(pasted), "?")
	query, _, _ = strings.Cut(query, "#")
	tickets := address.Tickets(query)
	if rest := address.WithoutTickets(query); rest != "" {
		at += "?" + rest
	}
	if len(tickets) != 1 || !address.Same(at, service) {
		return "", false
	}
	return tickets[0], true
}

// printer tells an operator what was found.
type printer struct {
	out    io.Writer
	json   bool
	speaks language
	site   string
	count  map[result]int
}

var marks = map[result]string{good: "✓", doubtful: "!", bad: "✗"}

func (p *printer) line(l line) {
	p.count[l.Result]++
	if p.json {
		p.encode(l)
		return
	}
	if l.Site != p.site {
		fmt.Fprintf(p.out, "\n%s\n", l.Site)
		p.site = l.Site
	}
	fmt.Fprintf(p.out, "  %s %s (%s)\n", marks[l.Result], l.What, lasted(l.TookMS))
	for _, more := range []struct{ name, text string }{{"cause", l.Cause}, {"cure", l.Cure}, {"to_ent", l.ToENT}} {
		if more.text != "" {
			fmt.Fprintf(p.out, "      %s%s %s\n", tables[p.speaks][more.name].what, p.speaks.colon(), more.text)
		}
	}
}

func lasted(ms int64) string {
	if ms < 1000 {
		return fmt.Sprintf("%d ms", ms)
	}
	return fmt.Sprintf("%.1f s", float64(ms)/1000)
}

func (p *printer) walked(w walked) {
	p.count[w.Result]++
	if p.json {
		p.encode(w)
		return
	}
	p.count[w.Result]--
	fmt.Fprintln(p.out)
	p.line(w.line)
	p.encode(w.Answer)
	if len(w.Headers) > 0 {
		fmt.Fprintln(p.out, tables[p.speaks]["walk_headers"].what)
		for _, name := range slices.Sorted(maps.Keys(w.Headers)) {
			fmt.Fprintf(p.out, "  %s: %s\n", name, printable(w.Headers[name]))
		}
	}
}

func (p *printer) encode(value any) {
	lines := json.NewEncoder(p.out)
	lines.SetEscapeHTML(false)
	_ = lines.Encode(value) // a terminal that is gone reads nothing
}

func (p *printer) sum() {
	if p.json {
		return
	}
	said := tables[p.speaks]["some"].what
	if p.count[bad]+p.count[doubtful] == 0 {
		said = tables[p.speaks]["all_ok"].what
	}
	fmt.Fprintf(p.out, "\n%s\n", strings.NewReplacer("{bad}", strconv.Itoa(p.count[bad]), "{doubtful}", strconv.Itoa(p.count[doubtful])).Replace(said))
}

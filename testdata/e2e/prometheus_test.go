package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth/castest"
)

const ops = "../../caddymodule/ops"

// debianPrometheus finds a program of Debian's package.
func debianPrometheus(t *testing.T, program string) string {
	t.Helper()
	found, err := exec.LookPath(program)
	if err != nil {
		missing(t, "This test needs Prometheus (Debian: apt-get install prometheus).")
	}
	return found
}

// TestAlertRules lets Prometheus's own tool judge the rules, and play through when they
// ring and when they do not.
func TestAlertRules(t *testing.T) {
	promtool := debianPrometheus(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = ops
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, text)
		}
	}
}

// TestPrometheusSeesEveryPromise runs a school for some seconds under a real Prometheus
// and asks it all that the dashboard asks.
func TestPrometheusSeesEveryPromise(t *testing.T) {
	program := debianPrometheus(t, "prometheus")
	ports := freePorts(t, 3)
	ent := castest.Start(t, castest.Options{})
	origin := "http://localhost:" + ports[0]
	upstream := pronote(t)
	caddyfile(t, fmt.Sprintf(`{
	admin 127.0.0.1:%s
	metrics
}
%s {
	bind 127.0.0.1
	pronote_cas {
		cas_url %s
		public_url %s
		internal_url http://%s
		relay
	}
	reverse_proxy %[5]s
}
`, ports[1], origin, ent.URL, origin, upstream), origin)
	prom := startPrometheus(t, program, ports[2], ports[1])

	visit := func() {
		visitor := newPerson(t, "")
		espace := origin + "/eleve.html"
		if _, err := ent.Login(&visitor.client, visitor.open(espace).URL.String(), "camille.durand"); err != nil {
			t.Fatal(err)
		}
		if pg := visitor.open(espace); pg.Status != http.StatusOK || pg.URL.String() != espace {
			t.Fatalf("after the login: %d at %s", pg.Status, pg.URL)
		}
		ticket := newPerson(t, "")
		ticket.client.Jar, ticket.client.CheckRedirect = visitor.client.Jar, func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		to := ticket.open(origin + "/pronote-cas/login?service=" + url.QueryEscape(origin+"/eleve.html")).URL
		if to.Query().Get("ticket") == "" {
			t.Fatalf("no ticket of the relay, but %s", to)
		}
		valid := newPerson(t, "").open(origin + "/pronote-cas/serviceValidate?service=" + url.QueryEscape(origin+"/eleve.html") + "&ticket=" + to.Query().Get("ticket"))
		if !strings.Contains(valid.Body, "camille.durand") {
			t.Fatalf("PRONOTE is told %s", valid.Body)
		}
		script(t, newPerson(t, ""), espace) // refused
	}
	prom.eventually("the series of a site where nobody has been", `pronote_cas_sessions == 0`)
	visit()
	prom.eventually("a login", `pronote_cas_logins_total{result="ok"} == 1`)
	visit()
	prom.eventually("a second login", `increase(pronote_cas_logins_total{result="ok"}[1m]) > 0`)
	for name, want := range map[string]string{
		"live sessions": `pronote_cas_sessions == 2`, "no error of the storage": `pronote_cas_storage_errors_total == 0`,
		"relay tickets":     `sum(pronote_cas_relay_tickets_total{result=~"issued|validated"}) == 4`,
		"resolved people":   `count(pronote_cas_directory_resolutions_total) >= 7`,
		"one site, by host": `pronote_cas_sessions{site="localhost:` + ports[0] + `"}`,
	} {
		prom.eventually(name, want)
	}

	asked := dashboard(t)
	if len(asked) < 8 {
		t.Fatalf("the dashboard asks %d questions", len(asked))
	}
	for _, expr := range asked {
		prom.eventually("the dashboard", strings.NewReplacer("$site", ".*", "$__rate_interval", "1m").Replace(expr))
	}
	prom.alerts()
}

// dashboard lists what the panels ask.
func dashboard(t *testing.T) (exprs []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(ops, "grafana.json"))
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]bool)
	for _, p := range d.Panels {
		if seen[p.ID] || p.Title == "" || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d, %q, has the number of another, no title, or no room: %+v", p.ID, p.Title, p.GridPos)
		}
		seen[p.ID] = true
		for _, target := range p.Targets {
			exprs = append(exprs, target.Expr)
		}
	}
	return exprs
}

// prometheus is one that runs.
type prometheus struct {
	t       *testing.T
	base    string
	printed *output
}

// startPrometheus lets one watch Caddy's admin endpoint, with our rules.
func startPrometheus(t *testing.T, program, port, watched string) *prometheus {
	t.Helper()
	rules, err := filepath.Abs(filepath.Join(ops, "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: caddy
    static_configs: [{targets: ["127.0.0.1:%s"]}]
`, rules, watched), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &prometheus{t: t, base: "http://127.0.0.1:" + port, printed: new(output)}
	cmd := exec.Command(program, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:"+port)
	cmd.Stdout, cmd.Stderr = p.printed, p.printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has nothing to lose
		_ = cmd.Wait()
	})
	waitForPort(t, "127.0.0.1:"+port, p.printed)
	return p
}

func (p *prometheus) get(path string, into any) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	res, err := client.Get(p.base + path)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", res.Status, text)
	}
	return json.Unmarshal(text, into)
}

// eventually waits for expr to yield numbers. One that Prometheus does not understand
// fails at once.
func (p *prometheus) eventually(what, expr string) {
	p.t.Helper()
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	for range 150 {
		answer.Data.Result = nil
		switch err := p.get("/api/v1/query?query="+url.QueryEscape(expr), &answer); {
		case err == nil:
		case strings.HasPrefix(err.Error(), "503"), strings.Contains(err.Error(), "refused"): // not ready
		default:
			p.t.Fatalf("%s: %s: %v", what, expr, err)
		}
		for _, r := range answer.Data.Result {
			text, _ := r.Value[1].(string)
			if number, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(number) {
				return
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
	p.t.Errorf("%s: no data in 30 s for\n%s", what, expr)
}

// alerts checks that Prometheus evaluates our three rules, and that everything that
// they look at is there.
func (p *prometheus) alerts() {
	p.t.Helper()
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Query, Health, State, LastError string }
			}
		}
	}
	if err := p.get("/api/v1/rules?type=alert", &answer); err != nil {
		p.t.Fatal(err)
	}
	var names []string
	for _, group := range answer.Data.Groups {
		for _, rule := range group.Rules {
			names = append(names, rule.Name)
			if rule.Health != "ok" || rule.State != "inactive" {
				p.t.Errorf("%s is %s and %s: %s", rule.Name, rule.Health, rule.State, rule.LastError)
			}
			selectors := regexp.MustCompile(`pronote_cas_\w+(\{[^}]*\})?`).FindAllString(rule.Query, -1)
			if len(selectors) == 0 {
				p.t.Errorf("%s looks at nothing of ours: %s", rule.Name, rule.Query)
			}
			for _, selector := range selectors {
				p.eventually(rule.Name, selector)
			}
		}
	}
	slices.Sort(names)
	if want := []string{"PronoteCASLoginsFail", "PronoteCASRelayInVain", "PronoteCASStorageGone"}; !slices.Equal(names, want) {
		p.t.Errorf("rules %v, want %v", names, want)
	}
}

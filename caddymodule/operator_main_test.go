package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
	"github.com/pronote-cas/caddy-pronote-cas/casauth/directory"
)

// output is what a command wrote, and how it ended.
type output struct {
	out, err string
	code     int
}

// operate runs one of the operator's commands in English, as a process of its own, on s.
func (s *rig) operate(args ...string) output {
	s.t.Helper()
	return s.operateIn("C", nil, args...)
}

// operateIn is operate in another language, and with something to read.
func (s *rig) operateIn(language string, input io.Reader, args ...string) output {
	s.t.Helper()
	cmd := caddyCommand(slices.Concat([]string{"pronote-cas", args[0], "--address", "unix/" + s.dir + "/admin"}, args[1:])...)
	cmd.Env = append(cmd.Env, "LC_ALL="+language)
	cmd.Stdin = input
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	_ = cmd.Run() // the exit code tells
	return output{out.String(), failed.String(), cmd.ProcessState.ExitCode()}
}

// told runs a command that has to go well and reads its JSON into value.
func (s *rig) told(value any, args ...string) {
	s.t.Helper()
	got := s.operate(slices.Insert(slices.Clone(args), 1, "--json")...)
	if err := json.Unmarshal([]byte(got.out), value); err != nil || got.code != 0 {
		s.t.Fatalf("%s: exit code %d, %v\n%s\n%s", args, got.code, err, got.out, got.err)
	}
}

// answered asks the admin API, without a process for it, and reads its JSON into value.
func (s *rig) answered(value any, method, target, body string) {
	s.t.Helper()
	if got := s.askAdmin(method, target, body, formType...); json.Unmarshal([]byte(got.body), value) != nil {
		s.t.Fatalf("%s %s: %s %s", method, target, got.Status, got.body)
	}
}

func (s *rig) sessionsNow() (all []casauth.Entry) {
	s.t.Helper()
	s.answered(&all, "GET", "sessions", "")
	return all
}

// rows are who is in the directory and fits search.
func (s *rig) rows(search string) (rows []directory.Row) {
	s.t.Helper()
	s.answered(&rows, "POST", "directory", url.Values{"q": {search}}.Encode())
	return rows
}

func users(all []casauth.Entry) (names []string) {
	for _, e := range all {
		names = append(names, e.User)
	}
	slices.Sort(names)
	return names
}

func (s *rig) adminClient() *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.dir+"/admin")
	}
	transport := &http.Transport{DialContext: dial} // keeps connections, as the commands do: net/http's server minds
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: 30 * time.Second, Transport: transport}
}

// askAdmin sends a request to the admin endpoint, as a program or a page would.
func (s *rig) askAdmin(method, target, body string, headers ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest(method, "http://127.0.0.1/pronote_cas/"+target, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for pair := range slices.Chunk(headers, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	res, err := s.adminClient().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{res, string(read)}
}

// adminLog is what Caddy notes of the requests to its admin endpoint.
func adminLog(s *rig) string {
	var lines []string
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, `"logger":"admin.api"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

package pronotetest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// staticTime is when all static files were last changed: any fixed time does.
var staticTime = time.Date(2025, 9, 1, 8, 0, 0, 0, time.UTC)

// sessionNumber reads the session of <genreEspace>/<session>/<n>.
func sessionNumber(rest string) int {
	parts := strings.Split(rest, "/")
	if len(parts) < 2 {
		return 0
	}
	n, _ := strconv.Atoi(parts[1])
	return n
}

const sessionOver = `{"Erreur":{"G":10,"Titre":"Session terminée"}}`

// appelFonction answers with the bytes it was sent, unless the session it names
// has ended.
func (p *pronote) appelFonction(w http.ResponseWriter, r *http.Request, rest string) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "POST", http.StatusMethodNotAllowed)
		return
	}
	if s := p.session(sessionNumber(rest)); s != nil && s.ctx.Err() != nil {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, sessionOver)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, "corps incomplet", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(body)
}

// appelPolling waits for a message: until ReleasePolls, the end of the session
// or of the client's patience, or PollWait.
func (p *pronote) appelPolling(w http.ResponseWriter, r *http.Request, rest string) {
	over := p.ctx.Done()
	if s := p.session(sessionNumber(rest)); s != nil {
		over = s.ctx.Done()
	}
	timer := time.NewTimer(p.cfg.PollWait)
	defer timer.Stop()
	began := time.Now()
	p.mu.Lock()
	release := p.release
	p.polls++
	p.mu.Unlock()

	what := "delai"
	select {
	case <-timer.C:
	case <-release:
		what = "message"
	case <-over:
		what = "fin"
	case <-r.Context().Done():
		what = ""
	}
	p.mu.Lock()
	p.polls--
	p.mu.Unlock()
	switch {
	case what == "":
	case strings.Contains(r.Header.Get("Accept"), "text/html"): // the frame of our pages
		render(w, http.StatusOK, "frame", view{Text: fmt.Sprintf("Réponse après %.0f s : %s.", time.Since(began).Seconds(),
			map[string]string{"delai": "rien de nouveau", "message": "un message", "fin": "session PRONOTE terminée"}[what])})
	default:
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = fmt.Fprintf(w, `{"nom":"polling","resultat":%q}`, what)
	}
}

// Polls returns how many long polls wait now.
func (p *pronote) Polls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.polls
}

// ReleasePolls answers all long polls that wait now, as if there were a message.
func (p *pronote) ReleasePolls() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.release)
	p.release = make(chan struct{})
}

// upload reads an attachment to its end and tells what arrived.
func (p *pronote) upload(w http.ResponseWriter, r *http.Request) {
	sum, size := sha256.New(), int64(0)
	if parts, err := r.MultipartReader(); err == nil {
		for {
			part, err := parts.NextPart()
			if err == io.EOF {
				break
			}
			var n int64
			if err == nil {
				n, err = io.Copy(sum, part)
			}
			if err != nil {
				http.Error(w, "envoi incomplet", http.StatusBadRequest)
				return
			}
			size += n
		}
	} else if size, err = io.Copy(sum, r.Body); err != nil {
		http.Error(w, "envoi incomplet", http.StatusBadRequest)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		render(w, http.StatusOK, "frame", view{Text: fmt.Sprintf("Document reçu : %d octets.", size)})
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = fmt.Fprintf(w, `{"taille":%d,"sha256":%q}`, size, hex.EncodeToString(sum.Sum(nil)))
}

// downloadLine makes a download a text that people may open.
const downloadLine = "PRONOTE de démonstration : ce document ne contient rien.\n"

// download streams FichiersExternes/<hex>/<name>?Session=<n>.
func (p *pronote) download(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("Session"))
	s := p.session(n)
	if s != nil && s.ctx.Err() != nil {
		render(w, http.StatusForbidden, "message", view{Title: "Session terminée", Text: "Ce document n’est plus accessible."})
		return
	}
	over := p.ctx.Done()
	if s != nil {
		over = s.ctx.Done()
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.FormatInt(p.cfg.DownloadSize, 10))
	h.Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", path.Base(path.Clean("/"+r.URL.Path))))
	if r.Method == http.MethodHead {
		return
	}
	chunk := []byte(strings.Repeat(downloadLine, (64<<10)/len(downloadLine)))
	for left := p.cfg.DownloadSize; left > 0; left -= int64(len(chunk)) {
		if _, err := w.Write(chunk[:min(left, int64(len(chunk)))]); err != nil {
			return
		}
		if p.cfg.DownloadPause == 0 {
			continue
		}
		_ = http.NewResponseController(w).Flush()
		timer := time.NewTimer(p.cfg.DownloadPause)
		select {
		case <-timer.C:
		case <-over:
			timer.Stop()
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			timer.Stop()
			return
		}
	}
}

// appelDeconnexion ends the session <n> of <n>/<time>.
func (p *pronote) appelDeconnexion(w http.ResponseWriter, rest string) {
	number, _, _ := strings.Cut(rest, "/")
	n, _ := strconv.Atoi(number)
	if s := p.session(n); s != nil {
		s.end()
	}
	w.WriteHeader(http.StatusOK)
}

// static serves scripts, styles and images, all invented, with validators, so
// that 304 and ranges can be tried.
func (p *pronote) static(w http.ResponseWriter, r *http.Request, page string) {
	types := map[string][2]string{
		".js":   {"text/javascript; charset=utf-8", staticScript},
		".css":  {"text/css; charset=utf-8", staticStyle},
		".svg":  {"image/svg+xml", staticImage},
		".ico":  {"image/svg+xml", staticImage},
		".png":  {"image/svg+xml", staticImage},
		".xml":  {"text/xml; charset=utf-8", "<browserconfig/>"},
		".json": {"application/manifest+json", `{"name":"PRONOTE de démonstration","start_url":"../"}`},
	}
	kind, ok := types[path.Ext(page)]
	if !ok || path.Ext(page) == ".json" && !strings.HasPrefix(page, "images/") {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", kind[0])
	http.ServeContent(w, r, "", staticTime, strings.NewReader(kind[1]))
}

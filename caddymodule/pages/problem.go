package pages

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// ProblemFields is one answer to a script.
type ProblemFields struct {
	Kind       Kind          // its texts are the title and the detail
	Cause      Cause         // adds its sentence to the detail
	Code       string        // incident code, the same as in the log
	Reason     string        // the reason's name in the log; "" takes the cause, else the kind
	LoginURL   string        // where to send the person to log in; "" leaves it out
	RetryAfter time.Duration // rounded up to seconds for the header Retry-After; 0 sets none
}

// problem is the body (RFC 9457 §3). The type is about:blank: status and reason
// say all that a script can act on.
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail"`
	Reason   string `json:"reason"`
	Code     string `json:"code,omitempty"`
	LoginURL string `json:"login_url,omitempty"`
}

// Problem answers a script with application/problem+json, in the language that r
// prefers. A status of 0 takes the kind's own.
func Problem(w http.ResponseWriter, r *http.Request, status int, p ProblemFields) {
	as := Page{Kind: p.Kind, Status: status, Cause: p.Cause, RetryAfter: p.RetryAfter}.known()
	t := speak(r)
	said, because := t.say(as)
	answer := problem{
		Type: "about:blank", Title: said.Title, Status: as.Status, Detail: said.Lead,
		Reason: p.Reason, Code: p.Code, LoginURL: p.LoginURL,
	}
	if because != "" {
		answer.Detail += " " + because
	}
	if answer.Reason == "" {
		answer.Reason = string(as.Kind)
		if because != "" {
			answer.Reason = string(p.Cause)
		}
	}
	body, err := json.Marshal(answer)
	if err != nil {
		http.Error(w, http.StatusText(as.Status), as.Status)
		return
	}
	header := w.Header()
	common(header, t, as.Status, p.RetryAfter)
	header.Set("Content-Type", "application/problem+json")
	header.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(as.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n')) // a client that left needs no answer
	}
}

package caddymodule

import (
	"crypto/rand"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/pronote-cas/caddy-pronote-cas/casauth"
)

// observer is the only place that logs. What it never writes, at any level:
// tickets, cookies, session ids. What it writes at DEBUG alone: who it is.
type observer struct{ log *zap.Logger }

func newObserver(ctx caddy.Context) observer { return observer{ctx.Logger()} }

// decision writes one line for a decision that matters and returns the short code
// that stands in it and on the page.
func (o observer) decision(r *http.Request, d *casauth.Decision) (code string) {
	level, message := weigh(d)
	entry := o.log.Check(level, message)
	if entry == nil {
		return "" // a code that stands nowhere helps nobody
	}
	if d.Action == casauth.Refuse || d.Page == casauth.AskPage && d.Err != nil {
		code = newCode()
	}
	fields := []zap.Field{zap.String("path", pathOnly(r))}
	if code != "" {
		fields = append(fields, zap.String("code", code))
	}
	if d.Err != nil {
		fields = append(fields, zap.String("reason", string(d.Err.Reason)))
		if d.Err.Cause != nil {
			fields = append(fields, zap.String("cause", d.Err.Cause.Error()))
		}
		if d.Err.Public != "" {
			fields = append(fields, zap.String("about", d.Err.Public))
		}
	}
	if d.Session != nil && o.log.Core().Enabled(zapcore.DebugLevel) {
		fields = append(fields, zap.String("user", d.Session.User), zap.String("pronote_id", d.Session.PronoteID))
	}
	entry.Write(fields...)
	return code
}

// unheard notes that PRONOTE could not be told of a logout.
func (o observer) unheard(err error) {
	o.log.Warn("PRONOTE was not told of a logout", zap.Error(err))
}

// weigh says how loud a decision is: what a school has to act on is a warning,
// what stops everybody is an error.
func weigh(d *casauth.Decision) (zapcore.Level, string) {
	switch d.Event {
	case casauth.LoginStarted:
		if d.Err != nil {
			return zapcore.WarnLevel, "login starts over"
		}
		return zapcore.DebugLevel, "login started"
	case casauth.LoggedIn:
		return zapcore.InfoLevel, "logged in"
	case casauth.LoggedOut:
		return zapcore.InfoLevel, "logged out"
	case casauth.SingleLogout:
		return zapcore.InfoLevel, "single logout"
	case casauth.Identified:
		return zapcore.InfoLevel, "PRONOTE identifier given"
	case casauth.TicketIssued:
		return zapcore.DebugLevel, "ticket for PRONOTE"
	case casauth.TicketValidated:
		if d.Err != nil {
			return zapcore.WarnLevel, "PRONOTE's ticket refused"
		}
		return zapcore.InfoLevel, "PRONOTE's ticket validated"
	}
	if d.Page == casauth.AskPage && d.Err != nil {
		return zapcore.InfoLevel, "PRONOTE identifier refused"
	}
	if d.Action != casauth.Refuse {
		return zapcore.DebugLevel, "answered"
	}
	switch d.Err.Reason {
	case casauth.CASUnavailable, casauth.CASUnreadable, casauth.StorageUnavailable:
		return zapcore.ErrorLevel, "refused"
	case casauth.SessionRequired, casauth.NotFound, casauth.MethodNotAllowed, casauth.ForeignLogout, casauth.EarlyData,
		casauth.AmbiguousTarget, casauth.AdministrationHidden:
		if !d.Person { // pages call again and again; a person reads the code once
			return zapcore.DebugLevel, "refused"
		}
		return zapcore.InfoLevel, "refused"
	}
	return zapcore.WarnLevel, "refused"
}

// codeAlphabet has no two characters that sound or look alike on the phone.
const codeAlphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

// newCode returns a code such as K7QX-3MB, which names one refusal.
func newCode() string {
	var random [7]byte
	_, _ = rand.Read(random[:]) // crypto/rand never fails (Go 1.24)
	var code strings.Builder
	for i, b := range random {
		if i == 4 {
			code.WriteByte('-')
		}
		code.WriteByte(codeAlphabet[int(b)%len(codeAlphabet)])
	}
	return code.String()
}

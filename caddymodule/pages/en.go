package pages

import (
	"fmt"
	"time"
)

var english = tongue{
	tag: "en",
	kinds: map[Kind]words{
		SessionEnded: {
			Title:  "Your session has ended",
			Lead:   "What you just sent was not saved, because your session was no longer open.",
			Next:   "To keep a long text, first go back to the previous page and copy it. Then log in again and start over.",
			Action: "Log in again",
		},
		LoginRequired: {
			Title:  "Login needed",
			Lead:   "You need to log in through the ENT, the school’s online portal, to go on.",
			Next:   "Log in, then try again.",
			Action: "Log in through the ENT",
		},
		Refused: {
			Title:  "Access refused",
			Lead:   "Your request could not be accepted.",
			Next:   "If you think this is a mistake, contact the school.",
			Action: "Try again",
			Admin:  "Caddy’s log has the code below together with the reason.",
			Detail: "Detail:",
		},
		LoginLoop: {
			Title:  "Your login does not go through",
			Lead:   "Several login attempts in a row have failed.",
			Next:   "Wait a minute, then try again. If it goes on, contact the school.",
			Action: "Log in again",
			Admin:  "Caddy’s log has the code below together with the cause of each failure.",
			Detail: "Detail:",
		},
		UnknownIdentifier: {
			Title:  "Your account is not linked to PRONOTE",
			Lead:   "You are logged in to the ENT, the school’s online portal, but it could not be found out who you are in PRONOTE.",
			Next:   "Contact the school office, who can link your account to PRONOTE.",
			Action: "Use another account",
			Admin:  "The ENT sent no valid PRONOTE identifier for this account, and the directory does not know it. Ask the ENT to send the attribute, or name in `identifier` the one that holds it. Failing that, import PRONOTE’s export with `caddy pronote-cas import` and choose `unresolved ask`; `caddy pronote-cas export` lists the accounts concerned.",
			Detail: "Looked for in:",
		},
		ENTUnavailable: {
			Title:  "The ENT does not answer",
			Lead:   "Your login could not be checked, because the ENT, the school’s online portal, does not answer or is too slow.",
			Next:   "You did nothing wrong. Try again in {wait}.",
			Action: "Try again",
			Admin:  "The CAS server did not answer within `cas_timeout`, or answered with an error. Sessions that are already open go on.",
			Detail: "CAS server:",
		},
		ENTUnreadable: {
			Title:  "Unexpected answer from the ENT",
			Lead:   "Your login could not be checked, because the answer of the ENT, the school’s online portal, makes no sense.",
			Next:   "You did nothing wrong. Try again in {wait}; if it goes on, contact the school.",
			Action: "Try again",
			Admin:  "What came back from the validation is no CAS answer. Check `cas_url`, `protocol` and `validate_url`; a maintenance page or a firewall may also be answering in place of the CAS server.",
			Detail: "Address asked:",
		},
		StorageUnavailable: {
			Title:  "Service unavailable for the moment",
			Lead:   "Your session cannot be found right now.",
			Next:   "You did nothing wrong. Try again in {wait}.",
			Action: "Try again",
			Admin:  "Caddy’s storage, where sessions are kept, does not answer or cannot be written to. Caddy’s log has the reason; everything resumes by itself as soon as the storage answers.",
			Detail: "Storage:",
		},
		BadRequest: {
			Title:  "Incorrect address",
			Lead:   "The address you asked for can be understood in more than one way.",
			Next:   "If you followed a link, it is probably broken. Start from the home page.",
			Action: "Go to the home page",
			Admin:  "Caddy and PRONOTE might read this address differently. It is refused so that nobody can get around the login.",
			Detail: "Path received:",
		},
		NotFound: {
			Title:  "Page not found",
			Lead:   "There is no page at this address.",
			Next:   "Check the address, or start from the home page.",
			Action: "Go to the home page",
		},
		MethodNotAllowed: {
			Title:  "This cannot be done here",
			Lead:   "This page exists, but it cannot be used in this way.",
			Next:   "Start from the home page.",
			Action: "Go to the home page",
		},
		TooEarly: {
			Title:  "One moment",
			Lead:   "The request arrived before the secure connection was ready.",
			Next:   "You did nothing wrong. Try again.",
			Action: "Try again",
		},
		LoggedOut: {
			Title:  "Your session is closed",
			Lead:   "You are logged out of PRONOTE, but perhaps not yet of the ENT, the school’s online portal.",
			Next:   "On a shared computer, log out of the ENT too, then close all browser windows.",
			Action: "Log in again",
		},
		LogoutConfirm: {
			Title:  "Do you want to log out?",
			Lead:   "Another site asked to log you out of PRONOTE. Your session is still open.",
			Next:   "If you meant to log out, confirm it.",
			Action: "Stay in PRONOTE",
		},
		ServiceNotAllowed: {
			Title:  "Service not allowed",
			Lead:   "A login was requested for a site that is not this school’s PRONOTE.",
			Next:   "If you followed a link, do not trust it. Start from the home page.",
			Action: "Go to the home page",
			Admin:  "No ticket was issued. If this address really is PRONOTE’s, add it to `internal_url`, or to `service` in the `relay` block.",
			Detail: "Service requested:",
		},
		WrongProfile: {
			Title:  "This page is not meant for you",
			Lead:   "{Espace} is not open to your profile.",
			Next:   "Use the one that is meant for you.",
			Action: "Open {own}",
			Admin:  "The profile that the ENT sent is none of those that `require` accepts for this Espace. If it is the right one, add the value below there; if none is shown, the ENT does not send the attribute that `require` names.",
			Detail: "Profile received:",
		},
		SessionOpen: {
			Title:  "Your session is open",
			Lead:   "You have access to PRONOTE with your account of the ENT, the school’s online portal.",
			Next:   "On a shared computer, remember to log out before you leave.",
			Action: "Go to PRONOTE",
		},
		SessionNone: {
			Title:  "No open session",
			Lead:   "Nobody is logged in to PRONOTE in this browser at the moment.",
			Next:   "To use PRONOTE, log in with your account of the ENT, the school’s online portal.",
			Action: "Log in through the ENT",
		},
		AskIdentifier: {
			Title:  "Link your account to PRONOTE",
			Lead:   "You are logged in to the ENT, the school’s online portal. What remains is to enter your PRONOTE identifier, just this once.",
			Next:   "It is in the letter from the school. If you do not have it, ask the school office.",
			Action: "Use another account",
		},
		AskLocked: {
			Title:  "Too many tries",
			Lead:   "What was entered could not be confirmed, and there are no tries left.",
			Next:   "Try again in {wait}, with the letter in front of you. If it is still not accepted, contact the school office.",
			Action: "Try again",
			Admin:  "`caddy pronote-cas directory` shows the name and birth date that the directory has. To link this account in the person’s place, import its PRONOTE identifier and its CAS identifier with `caddy pronote-cas import`, in mode `partial`.",
		},
	},
	causes: englishCauses,
	errors: map[AskError]string{
		AskEmpty:      "Fill in this field.",
		AskLength:     "The identifier has 16 characters; there are {count} here.",
		AskAlphabet:   "Please check: {chars}. The identifier has only digits and letters without accents, and never 0, 1, I, L or O.",
		AskDate:       "Write the day, the month and the year, for example 07/03/2012.",
		AskMismatch:   "These details do not go together. Check them against the letter, then try again.",
		AskUnprovable: "This identifier cannot be confirmed here. Contact the school office.",
		AskWait:       "Wait {wait} before the next try.",
	},
	espaces: map[string]string{
		"commune":      "the common home page (Page commune)",
		"direction":    "the headteachers’ area (Espace Direction)",
		"professeurs":  "the teachers’ area (Espace Professeurs)",
		"vie_scolaire": "the school life area (Espace Vie scolaire)",
		"parents":      "the parents’ area (Espace Parents)",
		"accompagnant": "the support staff area (Espace Accompagnants)",
		"eleves":       "the students’ area (Espace Élèves)",
		"entreprise":   "the companies’ area (Espace Entreprise)",
		"tuteur":       "the tutors’ area (Espace Tuteur)",
		"academie":     "the education authority’s area (Espace Académie)",
	},
	labels: labels{
		Banner:         "Access to PRONOTE",
		Code:           "Code to give to the school:",
		Admin:          "For the administrator",
		Logout:         "Log out",
		ErrorTitle:     "Error: ",
		AllRequired:    "All fields are required.",
		OneRequired:    "This field is required.",
		TriesOne:       "One try is left.",
		TriesMany:      "{tries} tries are left.",
		Identifier:     "PRONOTE identifier",
		IdentifierHint: "16 letters and digits. Lower case and spaces are accepted.",
		LastName:       "Last name",
		LastNameHint:   "Of the person the letter was given to.",
		BirthDate:      "Date of birth",
		BirthDateHint:  "Of the same person, day first, for example 07/03/2012.",
		Submit:         "Link my account",
		AnyEspace:      "this area",
		OwnEspace:      "my own area",
		SomeMinutes:    "a few minutes",
		SomeSeconds:    "a few seconds",
	},
	date: func(t time.Time) string { return t.Format("2 January 2006 at 15:04:05 MST") },
	wait: func(minutes int) string {
		switch hours := (minutes + 59) / 60; {
		case minutes == 1:
			return "one minute"
		case minutes < 60:
			return fmt.Sprintf("%d minutes", minutes)
		case hours == 1:
			return "one hour"
		default:
			return fmt.Sprintf("%d hours", hours)
		}
	},
	typeset: func(s string) string { return s },
}

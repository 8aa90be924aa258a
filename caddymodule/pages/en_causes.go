package pages

var englishCauses = map[Cause]why{
	CauseTicket: {
		Lead:   "The ENT, the school’s online portal, did not confirm your login.",
		Next:   "Close the other tabs of the ENT and of PRONOTE, wait a minute, then try again.",
		Admin:  "The CAS server refuses tickets that it has just issued. Check that `cas_url` and `validate_url` lead to the same CAS server, that `protocol` is the right one, and that the validation is sent within the ticket’s lifetime.",
		Detail: "The CAS server’s answer:",
	},
	CauseService: {
		Lead:   "The ENT, the school’s online portal, does not know the address of this PRONOTE.",
		Next:   "This is a setting between the school and the ENT. Contact the school.",
		Admin:  "Have the service below declared at the ENT, exactly as it is written. If the ENT accepts only one fixed address, set it with `service_url`.",
		Detail: "Service to declare:",
	},
	CauseCookies: {
		Lead:  "Your browser did not keep track of the start of the login.",
		Next:  "Allow cookies for this site, then try again. If PRONOTE is shown inside a page of the ENT, open it in a tab of its own.",
		Admin: "The cookie that was set before the ENT’s login page did not come back with the ticket. Check that `public_url` is the very address that browsers show, and that the ENT returns to the address that was asked for. If the ENT shows PRONOTE in a frame, `same_site none` is needed.",
	},
	CauseClock: {
		Lead:  "The clocks of this server and of the ENT, the school’s online portal, do not agree.",
		Next:  "You did nothing wrong. Try again in a few minutes; if it goes on, contact the school.",
		Admin: "The CAS server’s answer is not valid yet, or no longer, by more than 60 seconds. Set this machine’s clock (NTP).",
	},
	CauseProxyTicket: {
		Lead:  "The login came through another application, which is not accepted here.",
		Next:  "Open PRONOTE directly from the ENT, the school’s online portal, or by its address.",
		Admin: "A proxy ticket (`PT-`), or an answer with a chain of proxies, is never accepted: it does not prove that the person is at the browser.",
	},
	CausePerson: {
		Lead:   "The ENT, the school’s online portal, did not say whose account this is.",
		Next:   "You did nothing wrong. Contact the school.",
		Admin:  "The attribute named by `cas_identifier` is missing from the ENT’s answer. Ask the ENT to send it, or go back to `cas_identifier subject`.",
		Detail: "Attribute expected:",
	},
	CauseConflict: {
		Lead:  "This account’s PRONOTE identifier is already linked to another account of the ENT.",
		Next:  "Contact the school office.",
		Admin: "Nothing was changed. `caddy pronote-cas export` says which account holds the identifier. If it is the wrong one, `caddy pronote-cas forget --user ID --keep-row` frees it: the other only has to log in again. If the ENT sends the same identifier for both, it has to correct that.",
	},
	CauseAmbiguous: {
		Lead:  "Several people at the school have the same name and details, and nothing tells them apart.",
		Next:  "Contact the school office.",
		Admin: "The identity match never chooses between several people. Have the ENT send the identifier, or import with `caddy pronote-cas import` a list that has each person’s CAS identifier.",
	},
	CauseLogoutMessage: {
		Lead:  "The logout message sent by the ENT cannot be read.",
		Next:  "To log out, close all browser windows.",
		Admin: "What was received is no complete CAS logout message. No session was ended.",
	},

	CauseEncodedSlash: {Lead: "It contains an encoded slash (%2F)."},
	CauseBackslash:    {Lead: "It contains a backslash (\\), possibly encoded (%5C)."},
	CauseReserved:     {Lead: "It contains an encoded question mark (%3F) or a control character, such as %00."},
	CauseDotSegment:   {Lead: "It contains one or two dots alone between slashes."},
	CauseDoubleSlash:  {Lead: "It contains two slashes in a row."},
	CauseSemicolon:    {Lead: "It contains a semicolon."},
	CauseHash:         {Lead: "It contains a hash sign (#), possibly encoded (%23)."},
	CauseAfterPage:    {Lead: "It goes on after the name of a page."},
	CauseEncoding:     {Lead: "It contains characters that are wrongly encoded."},
	CauseHost:         {Lead: "It names a site other than this one."},
}

package protocol

// Reason says in one word of a closed set what was wrong: for metrics, logs,
// pages and tests. [Error] has the sentence that goes with it.
type Reason string

// Reasons of [Failed].
const (
	ReasonRefused      Reason = "refused"        // the CAS server refuses the ticket
	ReasonSOAPFault    Reason = "soap_fault"     // the CAS server answers with a SOAP fault
	ReasonExpired      Reason = "expired"        // SAML: at or after NotOnOrAfter
	ReasonNotYetValid  Reason = "not_yet_valid"  // SAML: before NotBefore
	ReasonAudience     Reason = "audience"       // SAML: meant for another service
	ReasonInResponseTo Reason = "in_response_to" // SAML: answers another request
	ReasonRecipient    Reason = "recipient"      // SAML: addressed to another service
	ReasonProxyTicket  Reason = "proxy_ticket"   // a PT- ticket; never sent to the CAS server
	ReasonProxyChain   Reason = "proxy_chain"    // a success that an application asked for in someone's name
	ReasonTicketShape  Reason = "ticket_shape"   // no service ticket by its form; never sent to the CAS server
)

// Reasons of [Malformed]: bytes and XML.
const (
	ReasonEmpty           Reason = "empty"
	ReasonTooLarge        Reason = "too_large"
	ReasonHTML            Reason = "html_page"
	ReasonJSON            Reason = "json"
	ReasonEncoding        Reason = "encoding"
	ReasonCharacters      Reason = "characters"
	ReasonDeclaration     Reason = "xml_declaration"
	ReasonNotXML          Reason = "not_xml"
	ReasonTruncated       Reason = "truncated"
	ReasonEntity          Reason = "entity"
	ReasonDoctype         Reason = "doctype"
	ReasonInstruction     Reason = "processing_instruction"
	ReasonTrailing        Reason = "trailing"
	ReasonDuplicateAttr   Reason = "duplicate_xml_attribute"
	ReasonPrefix          Reason = "undeclared_prefix"
	ReasonTooDeep         Reason = "too_deep"
	ReasonTooManyElements Reason = "too_many_elements"
)

// Reasons of [Malformed]: structure.
const (
	ReasonFirstLine       Reason = "first_line"
	ReasonWrongRoot       Reason = "wrong_root"
	ReasonNamespace       Reason = "wrong_namespace"
	ReasonStrayText       Reason = "stray_text"
	ReasonNoOutcome       Reason = "no_outcome"
	ReasonTwoOutcomes     Reason = "two_outcomes"
	ReasonNestedOutcome   Reason = "nested_outcome"
	ReasonFailureMarkup   Reason = "failure_markup"
	ReasonProxyAnswer     Reason = "proxy_answer"
	ReasonTwoBlocks       Reason = "two_blocks"
	ReasonNoUser          Reason = "no_user"
	ReasonTwoUsers        Reason = "two_users"
	ReasonUserMarkup      Reason = "user_markup"
	ReasonUserCharacters  Reason = "user_characters"
	ReasonUserTooLong     Reason = "user_too_long"
	ReasonEnvelope        Reason = "envelope"
	ReasonVersion         Reason = "version"
	ReasonStatusCode      Reason = "status_code"
	ReasonAssertion       Reason = "assertion"
	ReasonConditions      Reason = "conditions"
	ReasonCondition       Reason = "unknown_condition"
	ReasonDates           Reason = "dates"
	ReasonSubject         Reason = "subject"
	ReasonSubjectMismatch Reason = "subject_mismatch"
)

// Reasons of [Malformed]: logout messages.
const (
	ReasonTwoMessages  Reason = "two_messages"
	ReasonCompression  Reason = "compression"
	ReasonSessionIndex Reason = "session_index"
)

// Reasons of [Unavailable].
const (
	ReasonRequest     Reason = "request"
	ReasonName        Reason = "dns"
	ReasonConnect     Reason = "connect"
	ReasonTLS         Reason = "tls"
	ReasonTimeout     Reason = "timeout"
	ReasonCanceled    Reason = "canceled"
	ReasonInterrupted Reason = "interrupted"
	ReasonRedirect    Reason = "redirect"
	ReasonStatus      Reason = "status"
)

// sentence is what is told about a reason. It speaks to people who know their
// CAS server and not this code.
func (r Reason) sentence() string { return sentences[r] }

var sentences = map[Reason]string{
	ReasonRefused:      "the CAS server refuses the ticket",
	ReasonSOAPFault:    "the CAS server answers with a SOAP fault: it could not process the request",
	ReasonExpired:      "the answer is no longer valid: compare the clock of the CAS server with ours",
	ReasonNotYetValid:  "the answer is not valid yet: compare the clock of the CAS server with ours",
	ReasonAudience:     "the answer is meant for another service (Audience)",
	ReasonInResponseTo: "the answer belongs to another request (InResponseTo): a cached or repeated answer",
	ReasonRecipient:    "the answer is addressed to another service (Recipient)",
	ReasonProxyTicket:  "a proxy ticket (PT-): an application asks in someone's name, which is not accepted here",
	ReasonProxyChain:   "the login was made by an application in someone's name (proxies), which is not accepted here",
	ReasonTicketShape:  "this has not the form of a service ticket (ST-)",

	ReasonEmpty:           "nothing was sent",
	ReasonTooLarge:        "too large",
	ReasonHTML:            "a web page came instead of a CAS answer: the validation address leads to a login, error or portal page, or this protocol is not installed on the CAS server",
	ReasonJSON:            "JSON came instead of XML",
	ReasonEncoding:        "the text encoding is not accepted or not kept to: UTF-8, US-ASCII, ISO-8859-1, ISO-8859-15 and windows-1252 are read, as declared",
	ReasonCharacters:      "a character that XML forbids",
	ReasonDeclaration:     "the XML declaration is not one of XML 1.0",
	ReasonNotXML:          "not well-formed XML",
	ReasonTruncated:       "the document ends too early",
	ReasonEntity:          "an & that means nothing in XML: the CAS server writes a value without escaping it (LemonLDAP::NG does)",
	ReasonDoctype:         "a DOCTYPE, which no CAS answer has and which is never read",
	ReasonInstruction:     "a processing instruction, which no CAS answer has",
	ReasonTrailing:        "something follows the end of the document",
	ReasonDuplicateAttr:   "an element has the same XML attribute twice, or far too many",
	ReasonPrefix:          "a namespace prefix that is not declared",
	ReasonTooDeep:         "elements are nested too deeply",
	ReasonTooManyElements: "too many elements",

	ReasonFirstLine:       "a CAS 1 answer begins with a line that is exactly yes or no",
	ReasonWrongRoot:       "another document than the one of this protocol: check that the protocol is the one that the CAS server speaks at this address",
	ReasonNamespace:       "an element of the protocol is in the wrong XML namespace",
	ReasonStrayText:       "text where only elements may be",
	ReasonNoOutcome:       "the answer is neither a success nor a failure",
	ReasonTwoOutcomes:     "the answer holds more than one success or failure, or something beside it",
	ReasonNestedOutcome:   "a success or failure within another",
	ReasonFailureMarkup:   "a failure that holds elements",
	ReasonProxyAnswer:     "the answer of the /proxy address, not of a validation",
	ReasonTwoBlocks:       "the answer has more than one block of attributes, proxies or proxyGrantingTicket, or one that is not readable",
	ReasonNoUser:          "the answer names no user",
	ReasonTwoUsers:        "the answer names more than one user",
	ReasonUserMarkup:      "the user is not plain text",
	ReasonUserCharacters:  "the user holds invisible or control characters",
	ReasonUserTooLong:     "the user is longer than 256 bytes",
	ReasonEnvelope:        "not one SOAP 1.1 envelope with one body and one SAML response in it",
	ReasonVersion:         "not SAML 1.x",
	ReasonStatusCode:      "a SAML response has exactly one Status with one StatusCode",
	ReasonAssertion:       "a success has exactly one Assertion",
	ReasonConditions:      "the Assertion has not exactly one Conditions that is readable",
	ReasonCondition:       "the Assertion makes a condition that is not known here",
	ReasonDates:           "NotBefore and NotOnOrAfter must both be there, as date, time and time zone",
	ReasonSubject:         "a statement has not exactly one Subject, or there is not exactly one AuthenticationStatement",
	ReasonSubjectMismatch: "the statements are about different persons",

	ReasonTwoMessages:  "more than one logout message in one request",
	ReasonCompression:  "the logout message is not base64 of at most 64 KiB deflated",
	ReasonSessionIndex: "the logout message names no ticket, or a blank one",

	ReasonRequest:     "the validation request cannot be made: check the validation address",
	ReasonName:        "the name of the CAS server is not found",
	ReasonConnect:     "the CAS server cannot be reached",
	ReasonTLS:         "no secure connection to the CAS server: check that it speaks TLS 1.2, and its certificate, the whole chain of it",
	ReasonTimeout:     "the CAS server did not answer in time",
	ReasonCanceled:    "the browser went away before the CAS server answered",
	ReasonInterrupted: "the connection broke before the answer was complete",
	ReasonRedirect:    "the CAS server redirects the validation, which is never followed: check the validation address",
	ReasonStatus:      "the CAS server answers with an error and no refusal",
}

// refusals says more about the codes of CAS 3.0 §2.5.3 that have one cause.
var refusals = map[string]string{
	"INVALID_TICKET":             "the CAS server refuses the ticket: unknown, used, expired, or without the fresh login that was asked for",
	"INVALID_TICKET_SPEC":        "the CAS server refuses the ticket: not one of the kind that this address validates",
	"INVALID_SERVICE":            "the CAS server made the ticket for another service address: login and validation must name the same one",
	"INVALID_REQUEST":            "the CAS server misses a parameter of the validation: check the validation address",
	"UNAUTHORIZED_SERVICE":       "this service address is not declared to the CAS server",
	"UNAUTHORIZED_SERVICE_PROXY": "this service address is not declared to the CAS server, or the ticket has not its form (Edifice)",
	"INTERNAL_ERROR":             "the CAS server reports an error of its own",
}

package caddymodule

// happened says what a note is about, by what the log says.
var happened = map[string]both{
	"login started":              {"sets out for the ENT to log in", "départ vers l’ENT pour se connecter"},
	"login starts over":          {"the ENT did not confirm the login, which starts over", "l’ENT n’a pas confirmé la connexion, qui recommence"},
	"logged in":                  {"logged in: session opened", "connexion réussie : session ouverte"},
	"logged out":                 {"logged out by the button or the link", "déconnexion par le bouton ou le lien"},
	"single logout":              {"the ENT announced a logout", "l’ENT a annoncé une déconnexion"},
	"ticket for PRONOTE":         {"sent on to PRONOTE with a ticket of the relay", "renvoi vers PRONOTE avec un ticket du relais"},
	"PRONOTE's ticket validated": {"PRONOTE asked who it is, and was told", "PRONOTE a demandé qui c’est, et a reçu la réponse"},
	"PRONOTE's ticket refused":   {"PRONOTE asked about a ticket that is not good (any more)", "PRONOTE a présenté un ticket qui n’est pas, ou plus, valable"},
	"PRONOTE identifier given":   {"gave and proved the PRONOTE identifier", "identifiant PRONOTE saisi et vérifié"},
	"PRONOTE identifier refused": {"typed a PRONOTE identifier that could not be verified", "identifiant PRONOTE saisi, mais pas vérifié"},
	"page shown":                 {"looked at a page of the plugin", "page du greffon affichée"},
	"refused":                    {"refused", "refus"},
}

// advice is what a reason means, and what whoever answers the phone can do about it.
type advice struct{ means, do both }

// advised has a line for each casauth.Reason.
var advised = map[string]advice{
	"session_required": {
		both{"The person sent a form, or their page called PRONOTE, after the session had ended.", "La personne a envoyé un formulaire, ou sa page a appelé PRONOTE, alors que la session avait pris fin."},
		both{"Log in again. If it happens during work: longer `idle` or `ttl` in `session`.", "Se reconnecter. Si cela arrive en plein travail : augmenter `idle` ou `ttl` dans `session`."}},
	"ambiguous_target": {
		both{"The address can be read in two ways.", "L’adresse peut être lue de deux façons."},
		both{"Open PRONOTE by its first page; correct the link if it is one of yours.", "Ouvrir PRONOTE par sa page d’accueil ; corriger le lien s’il vient de chez vous."}},
	"administration": {
		both{"PRONOTE's administration is never served to the outside.", "L’administration de PRONOTE n’est jamais servie à l’extérieur."},
		both{"Nothing, unless it was you: administer PRONOTE from inside.", "Rien, sauf si c’était vous : administrez PRONOTE depuis l’intérieur."}},
	"not_found": {
		both{"There is no such page below /pronote-cas/.", "Il n’y a pas de telle page sous /pronote-cas/."},
		both{"Open PRONOTE by its first page.", "Ouvrir PRONOTE par sa page d’accueil."}},
	"method_not_allowed": {
		both{"The page was asked for in a way that it is not made for.", "La page a été demandée d’une façon pour laquelle elle n’est pas faite."},
		both{"Open PRONOTE by its first page.", "Ouvrir PRONOTE par sa page d’accueil."}},
	"ticket_refused": {
		both{"The ENT refuses a ticket that it has just issued.", "L’ENT refuse un ticket qu’il vient de délivrer."},
		both{"One person: close all tabs and log in again. Everybody: `caddy pronote-cas check` (cas_url, validate_url, protocol).", "Une seule personne : fermer tous les onglets et se reconnecter. Tout le monde : `caddy pronote-cas check` (cas_url, validate_url, protocol)."}},
	"service_refused": {
		both{"The ENT does not know this PRONOTE's address.", "L’ENT ne connaît pas l’adresse de ce PRONOTE."},
		both{"Have the service that the page shows declared at the ENT, to the letter; or set `service_url`.", "Faire déclarer auprès de l’ENT le service affiché sur la page, à la lettre près ; ou régler `service_url`."}},
	"clock_skew": {
		both{"This server's clock and the ENT's differ by more than a minute.", "L’horloge de ce serveur et celle de l’ENT diffèrent de plus d’une minute."},
		both{"Set this machine's clock (NTP).", "Mettre l’horloge de cette machine à l’heure (NTP)."}},
	"foreign_ticket": {
		both{"The browser came back without the cookie that it set out with.", "Le navigateur est revenu sans le cookie avec lequel il était parti."},
		both{"Allow cookies for this site; open PRONOTE in a tab of its own and not in a frame (or `same_site none`).", "Autoriser les cookies pour ce site ; ouvrir PRONOTE dans un onglet à part et non dans un cadre (ou régler `same_site none`)."}},
	"proxy_ticket": {
		both{"Another application tried to log in for the person.", "Une autre application a tenté de se connecter à la place de la personne."},
		both{"Open PRONOTE directly, by its address or by the ENT's link.", "Ouvrir PRONOTE directement, par son adresse ou par le lien de l’ENT."}},
	"unknown_identifier": {
		both{"The ENT knows the person, but no PRONOTE identifier was found for them.", "L’ENT connaît la personne, mais aucun identifiant PRONOTE n’a été trouvé pour elle."},
		both{"One person: give them their PRONOTE identifier in the directory (`caddy pronote-cas import`). Many: has the ENT stopped sending the attribute named by `identifier`?", "Une seule personne : compléter l’annuaire (`caddy pronote-cas import`). Beaucoup : l’ENT envoie-t-il encore l’attribut nommé par `identifier` ?"}},
	"identifier_conflict": {
		both{"Another account of the ENT already holds the person's PRONOTE identifier.", "Un autre compte de l’ENT détient déjà l’identifiant PRONOTE de la personne."},
		both{"`caddy pronote-cas export` names both: find out whose it is, and take it from the other with `caddy pronote-cas forget --user ID --keep-row`.", "`caddy pronote-cas export` nomme les deux : chercher à qui il appartient, puis le retirer à l’autre avec `caddy pronote-cas forget --user ID --keep-row`."}},
	"identity_ambiguous": {
		both{"Several people in the directory have this name, birth date and category.", "Plusieurs personnes de l’annuaire ont ces nom, date de naissance et catégorie."},
		both{"Import a file with the CAS identifier of each of them, or have the ENT send the PRONOTE identifier.", "Importer un fichier avec l’identifiant CAS de chacune, ou faire envoyer l’identifiant PRONOTE par l’ENT."}},
	"identifier_required": {
		both{"The person has not yet given their PRONOTE identifier.", "La personne n’a pas encore saisi son identifiant PRONOTE."},
		both{"Reload the page and fill in the form; the identifier is in the school's letter.", "Recharger la page et remplir le formulaire ; l’identifiant figure sur le courrier de l’établissement."}},
	"identifier_refused": {
		both{"What was typed does not fit: the identifier, or the name or birth date that go with it.", "La saisie ne correspond pas : l’identifiant, ou le nom ou la date de naissance qui vont avec."},
		both{"Read the letter again together, letter by letter: never 0, 1, I, L or O.", "Relire ensemble le courrier, lettre par lettre : jamais 0, 1, I, L ni O."}},
	"too_many_tries": {
		both{"Too many wrong tries at the form that asks for the PRONOTE identifier.", "Trop d’essais erronés au formulaire qui demande l’identifiant PRONOTE."},
		both{"Wait an hour, then fill it in together, with the letter at hand.", "Attendre une heure, puis le remplir ensemble, le courrier sous les yeux."}},
	"wrong_profile": {
		both{"The Espace is for other people than this one, by what the ENT says of them.", "L’Espace n’est pas destiné à cette personne, d’après ce que l’ENT dit d’elle."},
		both{"Open their own Espace. If it is theirs: is their profile right in the ENT, and `require` in the Caddyfile?", "Ouvrir son propre Espace. Si c’est bien le sien : son profil dans l’ENT est-il juste, et `require` dans le Caddyfile ?"}},
	"unknown_person": {
		both{"The ENT did not say who it is: the attribute of `cas_identifier` is missing.", "L’ENT n’a pas dit de qui il s’agit : l’attribut de `cas_identifier` manque."},
		both{"Have the ENT send it, or go back to `cas_identifier subject`.", "Le faire envoyer par l’ENT, ou revenir à `cas_identifier subject`."}},
	"cas_unavailable": {
		both{"The ENT did not answer, or with an error of its own.", "L’ENT n’a pas répondu, ou par une erreur de son côté."},
		both{"Wait and try again. If it goes on: `caddy pronote-cas check`, then the ENT's help desk.", "Patienter et réessayer. Si cela continue : `caddy pronote-cas check`, puis l’assistance de l’ENT."}},
	"cas_unreadable": {
		both{"What the ENT answered is no CAS answer.", "La réponse de l’ENT n’est pas une réponse CAS."},
		both{"`caddy pronote-cas check`: is it a maintenance page, a firewall, or the wrong `cas_url`, `protocol` or `validate_url`?", "`caddy pronote-cas check` : est-ce une page de maintenance, un pare-feu, ou une erreur dans `cas_url`, `protocol` ou `validate_url` ?"}},
	"storage_unavailable": {
		both{"Caddy's storage could not be read or written.", "Le stockage de Caddy n’a pu être ni lu ni écrit."},
		both{"Disk full, rights, network? It goes on by itself once the storage answers.", "Disque plein, droits, réseau ? Tout reprend de soi-même dès que le stockage répond."}},
	"early_data": {
		both{"The request came before the encrypted connection was ready.", "La demande est arrivée avant que la liaison chiffrée soit prête."},
		both{"Nothing: the browser asks again by itself.", "Rien : le navigateur recommence de lui-même."}},
	"foreign_logout": {
		both{"Another site asked for the logout, which the person has to confirm.", "Un autre site a demandé la déconnexion, que la personne doit confirmer."},
		both{"Nothing: the session goes on.", "Rien : la session continue."}},
	"service_not_allowed": {
		both{"The relay was asked for a ticket for a site that is not PRONOTE.", "On a demandé au relais un ticket pour un site qui n’est pas PRONOTE."},
		both{"If it is PRONOTE after all: `internal_url`, or `service` in `relay`.", "Si c’est bien PRONOTE : `internal_url`, ou `service` dans `relay`."}},
	"foreign_caller": {
		both{"Somebody who is not in `allow_from` asked the relay about a ticket.", "Quelqu’un qui n’est pas dans `allow_from` a interrogé le relais."},
		both{"Is it PRONOTE? Then add its address to `allow_from`.", "Est-ce PRONOTE ? Alors ajouter son adresse à `allow_from`."}},
	"unreadable_logout": {
		both{"A logout message from the ENT is broken; no session was ended.", "Un message de déconnexion de l’ENT est illisible ; aucune session n’a été fermée."},
		both{"Close all windows of the browser; show the message to the ENT (`caddy pronote-cas explain --protocol slo`).", "Fermer toutes les fenêtres du navigateur ; montrer le message à l’ENT (`caddy pronote-cas explain --protocol slo`)."}},
}

// recognised says by what rule a person was found in the directory.
var recognised = map[string]both{
	"attribute": {"identifier sent by the ENT", "identifiant envoyé par l’ENT"},
	"row":       {"known to the directory", "connu de l’annuaire"},
	"identity":  {"recognised by name and birth date", "reconnu par son nom et sa date de naissance"},
	"ask":       {"identifier typed in and proved", "identifiant saisi et vérifié"},
	"none":      {"unknown to the directory", "inconnu de l’annuaire"},
	"conflict":  {"identifier held by somebody else", "identifiant détenu par quelqu’un d’autre"},
	"ambiguous": {"several people fit", "plusieurs personnes correspondent"},
}

package pages

var frenchCauses = map[Cause]why{
	CauseTicket: {
		Lead:   "L’ENT n’a pas confirmé votre connexion.",
		Next:   "Fermez les autres onglets de l’ENT et de PRONOTE, attendez une minute, puis recommencez.",
		Admin:  "Le serveur CAS refuse des tickets qu’il vient de délivrer. Vérifiez que `cas_url` et `validate_url` mènent au même serveur CAS, que `protocol` est le bon et que la validation part dans le délai de vie du ticket.",
		Detail: "Réponse du serveur CAS :",
	},
	CauseService: {
		Lead:   "L’ENT ne reconnaît pas l’adresse de ce PRONOTE.",
		Next:   "Il s’agit d’un réglage entre l’établissement et l’ENT. Contactez l’établissement.",
		Admin:  "Faites déclarer auprès de l’ENT le service ci-dessous, exactement ainsi. Si l’ENT n’accepte qu’une adresse fixe, indiquez-la avec `service_url`.",
		Detail: "Service à déclarer :",
	},
	CauseCookies: {
		Lead:  "Votre navigateur n’a pas gardé la trace du début de la connexion.",
		Next:  "Autorisez les cookies pour ce site, puis recommencez. Si PRONOTE s’affiche à l’intérieur d’une page de l’ENT, ouvrez-le dans un onglet à part.",
		Admin: "Le cookie posé avant le départ vers l’ENT n’est pas revenu avec le ticket. Vérifiez que `public_url` est bien l’adresse affichée par le navigateur, et que l’ENT renvoie à l’adresse demandée. Si l’ENT montre PRONOTE dans un cadre, il faut `same_site none`.",
	},
	CauseClock: {
		Lead:  "L’heure de ce serveur et celle de l’ENT ne concordent pas.",
		Next:  "Cela ne vient pas de vous. Réessayez dans quelques minutes ; si cela continue, contactez l’établissement.",
		Admin: "La réponse du serveur CAS n’est pas encore valable, ou ne l’est plus, à 60 secondes près. Mettez l’horloge de cette machine à l’heure (NTP).",
	},
	CauseProxyTicket: {
		Lead:  "La connexion est passée par une autre application, ce qui n’est pas accepté ici.",
		Next:  "Ouvrez PRONOTE directement depuis l’ENT, ou par son adresse.",
		Admin: "Un ticket de mandataire (`PT-`), ou une réponse avec une chaîne de mandataires, n’est jamais accepté : il ne prouve pas que la personne est devant le navigateur.",
	},
	CausePerson: {
		Lead:   "L’ENT n’a pas indiqué à qui appartient le compte.",
		Next:   "Cela ne vient pas de vous. Contactez l’établissement.",
		Admin:  "L’attribut désigné par `cas_identifier` manque dans la réponse de l’ENT. Demandez à l’ENT de l’envoyer, ou revenez à `cas_identifier subject`.",
		Detail: "Attribut attendu :",
	},
	CauseConflict: {
		Lead:  "L’identifiant PRONOTE de ce compte est déjà relié à un autre compte de l’ENT.",
		Next:  "Contactez le secrétariat de l’établissement.",
		Admin: "Rien n’a été modifié. `caddy pronote-cas export` dit quel compte détient l’identifiant. Si ce n’est pas le bon, `caddy pronote-cas forget --user ID --keep-row` le libère : l’autre n’a plus qu’à se reconnecter. Si l’ENT envoie le même identifiant pour les deux, c’est à lui de le corriger.",
	},
	CauseAmbiguous: {
		Lead:  "Plusieurs personnes de l’établissement ont la même identité, et rien ne permet de les distinguer.",
		Next:  "Contactez le secrétariat de l’établissement.",
		Admin: "Le rapprochement par identité ne choisit jamais entre plusieurs personnes. Faites envoyer l’identifiant par l’ENT, ou importez avec `caddy pronote-cas import` une liste qui donne l’identifiant CAS de chaque personne.",
	},
	CauseLogoutMessage: {
		Lead:  "Le message de déconnexion envoyé par l’ENT est illisible.",
		Next:  "Pour vous déconnecter, fermez toutes les fenêtres du navigateur.",
		Admin: "Ce qui a été reçu n’est pas un message de déconnexion CAS complet. Aucune session n’a été fermée.",
	},

	CauseEncodedSlash: {Lead: "Elle contient une barre oblique codée (%2F)."},
	CauseBackslash:    {Lead: "Elle contient une barre oblique inverse (\\), peut-être codée (%5C)."},
	CauseReserved:     {Lead: "Elle contient un point d’interrogation codé (%3F) ou un caractère de contrôle, par exemple %00."},
	CauseDotSegment:   {Lead: "Elle contient un point ou deux points seuls entre deux barres obliques."},
	CauseDoubleSlash:  {Lead: "Elle contient deux barres obliques à la suite."},
	CauseSemicolon:    {Lead: "Elle contient un point-virgule."},
	CauseHash:         {Lead: "Elle contient un croisillon (#), peut-être codé (%23)."},
	CauseAfterPage:    {Lead: "Elle continue après le nom d’une page."},
	CauseEncoding:     {Lead: "Elle contient des caractères mal codés."},
	CauseHost:         {Lead: "Elle désigne un autre site que celui-ci."},
}

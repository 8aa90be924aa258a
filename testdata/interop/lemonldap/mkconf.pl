#!/usr/bin/perl
# Prints the portal's configuration (lmConf-1.json) for start.sh. Core perl only.
use strict;
use warnings;
use utf8;
use JSON::PP;
my ( $run, $port ) = @ENV{qw(RUN PORT)};

# PRONOTE identifiers, invented, of the three people of the portal's own demonstration back end.
my %pronote = ( dwho => 'A1B2C3D4E5F60718', rtyler => '0F1E2D3C4B5A6978', msmith => '9876543210FEDCBA' );
my $lookup = join ' : ', map { qq{\$uid eq "$_" ? "$pronote{$_}"} } sort keys %pronote;

# What a client is told: its name for it => the portal's.
my %all = ( idPronote => 'idPronote', login => 'uid', mail => 'mail', cn => 'cn', groups => 'groups' );

# One application for each service URL prefix: the portal knows no wildcards, and takes the longest that fits.
my ( %options, %attributes );
sub application {
    my ( $name, $path, $user, $told ) = @_;
    my @prefixes = map { "$_/$path" } split ' ', $ENV{CLIENTS};
    $options{$name} = {
        casAppMetaDataOptionsService       => "@prefixes",
        casAppMetaDataOptionsUserAttribute => $user,
    };
    $attributes{$name} = $told;
}
application( pronote   => '',           uid       => \%all );
application( byid      => 'byid/',      idPronote => { login => 'uid' } );
application( accents   => 'accents/',   uid       => { displayName => 'accents', idPronote => 'idPronote' } );
application( unescaped => 'unescaped/', uid       => { displayName => 'markup',  idPronote => 'idPronote' } );
application( multi     => 'multi/',     uid       => { classe => 'multi',        idPronote => 'idPronote' } );

print JSON::PP->new->utf8->pretty->canonical->encode( {
    cfgNum => 1, cfgAuthor => 'interop', cfgDate => time, cfgVersion => '2.16.1',
    # By name: the portal puts a dot before the domain of its cookies, which no client takes for an IP address.
    portal => "http://localhost:$port/", domain => 'localhost',
    cookieName => 'lemonldap', securedCookie => 0, httpOnly => 1,
    authentication => 'Demo', userDB => 'Same', passwordDB => 'Demo', registerDB => 'Null',
    demoExportedVars => { uid => 'uid', cn => 'cn', mail => 'mail' },
    exportedVars => {}, groups => {}, whatToTrace => 'uid',
    macros => {
        idPronote => "$lookup : ''",
        accents   => '"Éléonore Ünal-Œuvré"',
        markup    => '"Tom & <Jerry>"',
        multi     => '"6A; 6B; 6C"',
    },
    locationRules => { localhost => { default => 'accept' } },
    # Seconds in which a login still counts as fresh, for renew at validation.
    portalForceAuthnInterval => 1,
    timeout => 7200, requireToken => 1, notification => 0, loginHistoryEnabled => 0,

    issuerDBCASActivation => 1, issuerDBCASPath => '^/cas/', issuerDBCASRule => 1,
    casAccessControlPolicy => 'error', casStrictMatching => 1,
    casTicketExpiration => 60,
    casBackChannelSingleLogout => 1,    # off unless asked for
    casAttr => 'uid', casAttributes => \%all,
    casAppMetaDataOptions => \%options, casAppMetaDataExportedVars => \%attributes, casAppMetaDataMacros => {},
    # The logout messages go to a client with a certificate of its own making, and wait for it while the person does.
    lwpSslOpts => { verify_hostname => 0, SSL_verify_mode => 0 }, lwpOpts => { timeout => 5 },

    globalStorage => 'Apache::Session::File',
    globalStorageOptions => { Directory => "$run/sessions", LockDirectory => "$run/sessions/lock",
        generateModule => 'Lemonldap::NG::Common::Apache::Session::Generate::SHA256' },
    persistentStorage => 'Apache::Session::File',
    persistentStorageOptions => { Directory => "$run/psessions", LockDirectory => "$run/psessions/lock" },
    localSessionStorage => 'Cache::FileCache',
    localSessionStorageOptions => { namespace => 'sessions', default_expires_in => 600, cache_root => "$run/cache", cache_depth => 3 },
    portalSkin => 'bootstrap',
} );

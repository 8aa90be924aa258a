#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Installs Caddy for PRONOTE as a Windows service, or brings it up to date.
Installe Caddy pour PRONOTE comme service Windows, ou le met à jour.

.DESCRIPTION
    powershell -ExecutionPolicy Bypass -File .\install-service.ps1

C:\Program Files\caddy-pronote-cas   the program and its Caddyfile / le programme et son Caddyfile
C:\ProgramData\caddy-pronote-cas     certificates, sessions, directory, log / certificats, sessions, annuaire, journal

.PARAMETER Uninstall
Removes the service and the program; configuration and data stay.
Retire le service et le programme ; la configuration et les données restent.

.PARAMETER DeleteData
With -Uninstall: deletes configuration and data as well.
Avec -Uninstall : supprime aussi la configuration et les données.
#>
[CmdletBinding()]
param(
	[switch]$Uninstall,
	[switch]$DeleteData
)
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'

$Name = 'caddy-pronote-cas'
$Program = Join-Path $env:ProgramFiles $Name
$Data = Join-Path $env:ProgramData $Name
$Exe = Join-Path $Program 'caddy.exe'
$Config = Join-Path $Program 'Caddyfile'
# An account that Windows makes for this service alone, without a password; the name is the same in every language.
$Account = "NT SERVICE\$Name"

function Say([string]$French, [string]$English) {
	Write-Host $French
	Write-Host "    $English"
}

function Fail([string]$French, [string]$English) {
	throw "$French / $English"
}

# Runs a program of Windows or Caddy. Its exit code counts; what it writes to stderr is no error of PowerShell's.
function Invoke-Program([string]$File, [string[]]$Arguments) {
	$ErrorActionPreference = 'Continue'
	& $File $Arguments | Out-Host
	if ($LASTEXITCODE -ne 0) {
		Fail "« $File $Arguments » a échoué (code $LASTEXITCODE)." "It failed with exit code $LASTEXITCODE."
	}
}

function Get-OurService {
	Get-Service -Name $Name -ErrorAction SilentlyContinue
}

function Stop-OurService {
	$service = Get-OurService
	if ($service -and $service.Status -ne 'Stopped') {
		Say "Arrêt du service…" "Stopping the service…"
		Stop-Service -Name $Name
		$service.WaitForStatus('Stopped', [TimeSpan]::FromSeconds(60))
	}
	# Windows reports the stop a moment before it lets go of caddy.exe.
	foreach ($attempt in 1..20) {
		if (-not (Get-Process -Name caddy -ErrorAction SilentlyContinue | Where-Object { $_.Path -eq $Exe })) { return }
		Start-Sleep -Milliseconds 500
	}
	Fail "Un programme utilise encore $Exe." "$Exe is still running."
}

function Remove-OurFirewallRules {
	Get-NetFirewallRule -Name "$Name-*" -ErrorAction SilentlyContinue | Remove-NetFirewallRule
}

if ($DeleteData -and -not $Uninstall) {
	Fail "-DeleteData ne va qu'avec -Uninstall." '-DeleteData goes with -Uninstall only.'
}

if ($Uninstall) {
	Stop-OurService
	if (Get-OurService) { Invoke-Program 'sc.exe' @('delete', $Name) }
	Remove-OurFirewallRules
	if (Test-Path -LiteralPath $Exe) { Remove-Item -LiteralPath $Exe -Force }
	if ($DeleteData) {
		foreach ($folder in $Program, $Data) {
			if (Test-Path -LiteralPath $folder) { Remove-Item -LiteralPath $folder -Recurse -Force }
		}
		Say 'Le service, la configuration et les données sont supprimés.' 'Service, configuration and data are gone.'
	} else {
		Say "Le service est retiré. Restent : $Config et $Data." "The service is gone. What stays: $Config and $Data."
	}
	return
}

# Before anything is changed: is all there, and can it work?
if (-not [Environment]::Is64BitProcess) {
	Fail 'Il faut un Windows et un PowerShell 64 bits.' 'This needs a 64-bit Windows and PowerShell.'
}
$files = 'caddy.exe', 'Caddyfile.example', 'install-service.ps1', 'LISEZMOI.txt', 'README.txt', 'LICENSE.txt'
foreach ($file in $files) {
	if (-not (Test-Path -LiteralPath (Join-Path $PSScriptRoot $file))) {
		Fail "$file manque : décompressez toute l'archive." "$file is missing: unpack the whole archive."
	}
}
# Anybody may create a folder in ProgramData. One that an administrator did not create may hold forged sessions.
if (Test-Path -LiteralPath $Data) {
	$owner = (Get-Acl -LiteralPath $Data).GetOwner([Security.Principal.SecurityIdentifier]).Value
	if ($owner -notin 'S-1-5-18', 'S-1-5-32-544') {
		Fail "$Data n'appartient pas aux administrateurs : vérifiez d'où vient ce dossier, puis supprimez-le." `
			"$Data does not belong to the administrators: find out where it comes from, then delete it."
	}
}

# What else listens there, PRONOTE.net or IIS for instance, would keep Caddy from starting.
if (-not (Get-OurService)) {
	foreach ($port in 80, 443) {
		$listener = Get-NetTCPConnection -State Listen -LocalPort $port -ErrorAction SilentlyContinue | Select-Object -First 1
		if ($listener) {
			# 4 is the kernel's http.sys, which IIS and others listen through.
			$who = "PID $($listener.OwningProcess)"
			if ($listener.OwningProcess -eq 4) { $who = 'http.sys (IIS, PRONOTE.net…)' }
			$process = Get-Process -Id $listener.OwningProcess -ErrorAction SilentlyContinue
			if ($process) { $who = "$who, $($process.ProcessName)" }
			Fail "Le port $port est déjà pris ($who). Donnez un autre port à ce programme (PRONOTE.net : dans sa console), ou arrêtez-le." `
				"Port $port is taken ($who). Give that program another port (PRONOTE.net: in its console), or stop it."
		}
	}
}

# What the service gets as environment. XDG_…: where Caddy keeps its data, else the hidden profile of the account. Other
# variables are the administrator's and stay.
$key = "HKLM:\SYSTEM\CurrentControlSet\Services\$Name"
$environment = @("XDG_DATA_HOME=$Data", "XDG_CONFIG_HOME=$Data")
if (Test-Path -LiteralPath $key) {
	$environment += @((Get-Item -LiteralPath $key).GetValue('Environment') | Where-Object { $_ -and $_ -notmatch '^XDG_(DATA|CONFIG)_HOME=' })
}
foreach ($variable in $environment) {
	$variableName, $value = $variable -split '=', 2
	[Environment]::SetEnvironmentVariable($variableName, $value)
}

# A new version that does not accept the Caddyfile must not take the place of one that runs.
if (Test-Path -LiteralPath $Config) {
	Say 'Vérification du Caddyfile…' 'Checking the Caddyfile…'
	Invoke-Program (Join-Path $PSScriptRoot 'caddy.exe') @('validate', '--config', $Config, '--adapter', 'caddyfile')
}

Stop-OurService

Say "Copie vers $Program…" "Copying to $Program…"
New-Item -ItemType Directory -Force -Path $Program | Out-Null
if ($PSScriptRoot -ne $Program) {
	foreach ($file in $files) { Copy-Item -LiteralPath (Join-Path $PSScriptRoot $file) -Destination $Program -Force }
}
if (-not (Test-Path -LiteralPath $Config)) { Copy-Item -LiteralPath (Join-Path $PSScriptRoot 'Caddyfile') -Destination $Config }

if (-not (Get-OurService)) {
	New-Service -Name $Name -DisplayName 'Caddy (PRONOTE, CAS)' -StartupType Automatic `
		-Description 'Caddy devant PRONOTE.net, avec connexion par l''ENT / Caddy in front of PRONOTE.net, with login at the ENT' `
		-BinaryPathName "`"$Exe`" run --config `"$Config`" --adapter caddyfile" | Out-Null
}
# No password=: for such an account there must be none, not an empty one.
Invoke-Program 'sc.exe' @('config', $Name, 'obj=', $Account)
$runsAs = (Get-CimInstance -ClassName Win32_Service -Filter "Name='$Name'").StartName
if ($runsAs -ne $Account) {
	Fail "Le service tournerait sous $runsAs au lieu de $Account." "The service would run as $runsAs instead of $Account."
}
# After a crash: again after 5 s, 5 s, then every minute; counted anew each day.
Invoke-Program 'sc.exe' @('failure', $Name, 'reset=', '86400', 'actions=', 'restart/5000/restart/5000/restart/60000')
Invoke-Program 'sc.exe' @('failureflag', $Name, '1')
New-ItemProperty -LiteralPath $key -Name Environment -PropertyType MultiString -Value ([string[]]$environment) -Force | Out-Null

# Personal data of minors: for the service, the system and administrators only. The first two are named by number, for
# their names differ by language.
New-Item -ItemType Directory -Force -Path $Data | Out-Null
Invoke-Program 'icacls.exe' @($Data, '/setowner', '*S-1-5-32-544', '/Q')
Invoke-Program 'icacls.exe' @($Data, '/inheritance:r', '/grant:r', '*S-1-5-18:(OI)(CI)F', '*S-1-5-32-544:(OI)(CI)F',
	"${Account}:(OI)(CI)M", '/Q')

Remove-OurFirewallRules
New-NetFirewallRule -Name "$Name-tcp" -DisplayName 'Caddy (PRONOTE, CAS) TCP' -Direction Inbound -Action Allow `
	-Program $Exe -Protocol TCP -LocalPort 80, 443 | Out-Null
New-NetFirewallRule -Name "$Name-udp" -DisplayName 'Caddy (PRONOTE, CAS) HTTP/3' -Direction Inbound -Action Allow `
	-Program $Exe -Protocol UDP -LocalPort 443 | Out-Null

Start-Service -Name $Name
(Get-OurService).WaitForStatus('Running', [TimeSpan]::FromSeconds(60))
Say "Le service $Name fonctionne. Son journal : $Data\logs\caddy.log" `
	"The service $Name is running. Its log: $Data\logs\caddy.log"
Say "Modifiez $Config (Bloc-notes en administrateur), puis : Restart-Service $Name" `
	"Edit $Config (Notepad as administrator), then: Restart-Service $Name"

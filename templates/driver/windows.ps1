# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
#
# The Keywright reader driver of one server, for the person who runs this, below their own folder.
# Written from the system's documentation: NOT TRIED on Windows.
# Windows lets only programs with elevated rights reach a card's FIDO2 application: install and run
# it in a PowerShell that was opened as administrator.
# Run again it updates; -Uninstall takes everything away again.
param([string]$Code, [string]$Name = $env:COMPUTERNAME, [switch]$Uninstall)
$ErrorActionPreference = 'Stop'

$Server = {{ server }}
$Version = {{ version }}
$Wheel = {{ wheel }}
$Sha256 = {{ sha256 }}

$Base = Join-Path $env:LOCALAPPDATA 'keywright-reader-program'
$State = Join-Path $env:LOCALAPPDATA 'keywright-reader'
$Scheme = 'HKCU:\Software\Classes\keywright'

if ($Uninstall) {
    foreach ($Path in $Base, $State, $Scheme) {
        if (Test-Path $Path) { Remove-Item $Path -Recurse -Force }
    }
    'The driver and its pairing are gone. Revoke this station in the panel, under Stations.'
    return
}

& py -3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'
if ($LASTEXITCODE) { throw 'Python 3.11 or newer is needed, from python.org or the Microsoft Store.' }

$New = Join-Path $Base "$Version-$($Sha256.Substring(0, 8))"
$Program = Join-Path $New 'Scripts\keywright-reader.exe'
if (-not (Test-Path (Join-Path $New 'whole'))) {
    $Work = Join-Path ([IO.Path]::GetTempPath()) ([Guid]::NewGuid())
    New-Item -ItemType Directory $Work | Out-Null
    try {
        $File = Join-Path $Work $Wheel
        Invoke-WebRequest "$Server/reader-driver/$Wheel" -OutFile $File -UseBasicParsing
        if ((Get-FileHash $File -Algorithm SHA256).Hash -ne $Sha256) {
            throw "The download is damaged: its checksum is not $Sha256."
        }
        if (Test-Path $New) { Remove-Item $New -Recurse -Force }
        & py -3 -m venv $New
        & (Join-Path $New 'Scripts\python.exe') -m pip install --quiet --disable-pip-version-check $File
        if ($LASTEXITCODE) { throw 'pip could not install it; nothing else was changed.' }
        New-Item -ItemType File (Join-Path $New 'whole') | Out-Null
    } finally {
        Remove-Item $Work -Recurse -Force
    }
}
Get-ChildItem $Base | Where-Object { $_.FullName -ne $New } | Remove-Item -Recurse -Force

# The page's link keywright://pair?... starts the program; the person at the desk then agrees.
New-Item "$Scheme\shell\open\command" -Force | Out-Null
Set-Item $Scheme 'URL:Keywright'
New-ItemProperty $Scheme -Name 'URL Protocol' -Value '' -Force | Out-Null
Set-Item "$Scheme\shell\open\command" "`"$Program`" open `"%1`""

"Installed $(& $Program --version): $Program"
if ($Code) { & $Program pair --server $Server --code $Code --name $Name }
if (Test-Path (Join-Path $State 'identity.json')) {
    "Next, as administrator: & '$Program' run"
} else {
    "Next, with a code from the panel: & '$Program' pair --server $Server --code 12345678"
}

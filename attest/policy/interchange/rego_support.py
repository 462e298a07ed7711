"""What every exported policy stands on: reading claims and comparing them, in Rego.

Results are numbers, so that `all` is the smallest: 0 fails, 1 cannot be told, 2 passes by an observed value, 3 passes.
Every function is total: text that cannot be read is null, and null is 1. A value compares as text of one width or as a
whole number of seconds, because engines differ in what they do with numbers beyond 2^53. A comprehension stands in a
body, never in a head that has one, and two never share a variable's name: regorus, which is Trustee's engine, refuses both.
rego-cpp takes no `some KEY, VALUE in` in an array.
"""

from __future__ import annotations

SUPPORT = r"""
##### Reading

get(claims, name) := object.get(claims, name, null)

part(name) := found if {
	found := get(tree, name)
	is_object(found)
} else := {}

raw_part(name) := found if {
	found := get(part("raw"), name)
	is_object(found)
} else := {}

present(name) if name in object.keys(tree)

devices(name) := listed if {
	found := get(tree, name)
	is_array(found)
	listed := [device | some one in found; device := claims_of(one)]
} else := []

claims_of(one) := one if is_object(one)

else := {}

pad(text, width) := substring(concat("", ["00000000000000000000", text]), (20 + count(text)) - width, -1)

word(text, values) := text if {
	is_string(text)
	text != ""
	count(values) == 0
} else := text if {
	is_string(text)
	text in values
} else := null

# A number below 2^64 as 16 hex digits.
number(text) := pad(format_int(to_number(text), 16), 16) if {
	is_string(text)
	regex.match(`^(0|[1-9][0-9]{0,14})$`, text)
} else := large(pad(text, 20)) if {
	is_string(text)
	regex.match(`^[1-9][0-9]{15,19}$`, text)
	pad(text, 20) <= "18446744073709551615"
} else := pad(lower(substring(text, 2, -1)), 16) if {
	is_string(text)
	regex.match(`^0[xX][0-9a-fA-F]{1,16}$`, text)
} else := null

large(text) := concat("", [four[1], three[1], two[1], one[1]]) if {
	one := divided([digits(text, 0, 12) - 1000000000000, digits(text, 12, 8) - 100000000])
	two := divided(one[0])
	three := divided(two[0])
	four := divided(three[0])
}

# By 65536: the quotient as two numbers, each small, and the rest as four hex digits.
divided(parts) := [[high, low], pad(format_int(rest, 16), 4)] if {
	high := floor((parts[0] - (parts[0] % 65536)) / 65536)
	carried := ((parts[0] % 65536) * 100000000) + parts[1]
	rest := carried % 65536
	low := floor((carried - rest) / 65536)
}

# A leading 1 keeps a number with leading zeros a number.
digits(text, at, width) := to_number(concat("", ["1", substring(text, at, width)]))

bytes(text, sizes) := lower(text) if {
	is_string(text)
	count(text) / 2 in sizes
	regex.match(`^[0-9a-fA-F]+$`, text)
} else := null

version(text) := concat(".", padded) if {
	is_string(text)
	regex.match(`^[0-9]{1,19}(\.[0-9]{1,19}){0,3}$`, text)
	pieces := array.concat(split(text, "."), ["0", "0", "0"])
	padded := [piece | some at in [0, 1, 2, 3]; piece := pad(pieces[at], 19)]
} else := null

vbios(text) := substring(concat("", [lower(text), ".00.00.00.00"]), 0, 14) if {
	is_string(text)
	regex.match(`^[0-9a-fA-F]{2}(\.[0-9a-fA-F]{2}){0,4}$`, text)
} else := null

members(found) := {found} if {
	is_string(found)
	found != ""
} else := listed if {
	is_array(found)
	count([one | some one in found; is_string(one); one != ""]) == count(found)
	listed := {one | some one in found}
	count(listed) == count(found)
} else := null

seconds(text, grown) := length + grown if {
	length := whole(text)
	length != null
} else := null

# A lag of zero means that nothing was missed, not that something was missed just now.
lag(text) := 0 if whole(text) == 0

else := seconds(text, elapsed)

whole(text) := (digits(pad(substring(text, 0, count(text) - 1), 10), 0, 10) - 10000000000) * unit if {
	is_string(text)
	regex.match(`^[0-9]{1,10}[smhd]$`, text)
	unit := {"s": 1, "m": 60, "h": 3600, "d": 86400}[substring(text, count(text) - 1, 1)]
} else := null

date(text) := moment(concat("", [text, "T00:00:00Z"])) if {
	is_string(text)
	count(text) == 10
} else := moment(text)

# Seconds since 1970 of an instant in UTC.
moment(text) := (day * 86400) + ((hour * 3600) + ((minute * 60) + second)) if {
	is_string(text)
	regex.match(`^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`, text)
	year := digits(text, 0, 4) - 10000
	month := digits(text, 5, 2) - 100
	of_month := digits(text, 8, 2) - 100
	hour := digits(text, 11, 2) - 100
	minute := digits(text, 14, 2) - 100
	second := digits(text, 17, 2) - 100
	month >= 1
	month <= 12
	of_month >= 1
	of_month <= month_days(year, month)
	hour <= 23
	minute <= 59
	second <= 59
	late := floor((14 - month) / 12)
	years := (year + 4800) - late
	months := (month + (12 * late)) - 3
	leaps := (floor(years / 4) - floor(years / 100)) + floor(years / 400)
	day := ((((of_month + floor(((153 * months) + 2) / 5)) + (365 * years)) + leaps) - 32045) - 2440588
} else := null

month_days(year, month) := 29 if {
	month == 2
	leap(year)
} else := [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]

leap(year) if {
	year % 4 == 0
	year % 100 != 0
}

leap(year) if year % 400 == 0

tcb(found) := components if {
	is_object(found)
	components := {name: number(get(found, name)) | some name in object.keys(found) & tcb_components}
	count([name | value := components[name]; not small(value)]) == 0
} else := null

tcb_components := {"fmc", "bootloader", "tee", "snp", "microcode"}

small(value) if {
	value != null
	value <= "00000000000000ff"
}

##### Comparing

is(value, wanted) := 1 if value == null

else := 3 if value == wanted

else := 0

one_of(value, listed) := 1 if value == null

else := 3 if value in listed

else := 0

none_of(value, listed) := flipped(one_of(value, listed))

at_least(value, bound) := 1 if value == null

else := 3 if value >= bound

else := 0

at_most(value, bound) := 1 if value == null

else := 3 if value <= bound

else := 0

in_branch(value, minimums, newest) := 1 if value == null

else := at_least(value, minimums[substring(value, 0, 19)]) if substring(value, 0, 19) in object.keys(minimums)

else := 3 if {
	newest != ""
	substring(value, 0, 19) > newest
} else := 0

in_family(value, bound, result) := 1 if value == null

else := 1 if substring(value, 0, 5) != substring(bound, 0, 5)

else := result

has(value, pattern) := 1 if value == null

else := 3 if regex.match(pattern, value)

else := 0

apart(found, listed) := 1 if found == null

else := 3 if count(found & listed) == 0

else := 0

within(found, listed) := 1 if found == null

else := 3 if count(found - listed) == 0

else := 0

known(value) := 0 if value == null

else := 3

absent(found) := 3 if found == null

else := 0

or_absent(found, result) := 3 if found == null

else := result

components_at_least(found, bounds) := 1 if found == null

else := min(results) if {
	results := [result | bound := bounds[name]; result := at_least(get(found, name), bound)]
}

components_at_most(found, bounds) := 1 if found == null

else := min(results) if {
	results := [result | bound := bounds[name]; result := at_most(get(found, name), bound)]
}

of_product(found, results) := 1 if found == null

else := 1 if product == null

else := object.get(results, product, 0)

major(value, wanted, result) := 1 if value == null

else := 1 if substring(value, 2, 2) != wanted

else := result

byte_of(value, index) := null if value == null

else := substring(value, index * 2, 2)

# entries: value → [result, from, until, revoked since, covers] of each reference value.
listed_in(value, sets) := 1 if value == null

else := 0 if {
	some entry in entries_of(value, sets)
	now >= entry[3]
} else := 3 if {
	some entry in in_time(value, sets)
	entry[0] == 3
} else := 2 if count(in_time(value, sets)) > 0

else := 0

entries_of(value, sets) := found if {
	found := [entry | some entries in sets; some entry in object.get(entries, value, [])]
}

in_time(value, sets) := found if {
	found := [entry | some entry in entries_of(value, sets); entry[1] <= now; now <= entry[2]]
}

covers_image(value, sets) if {
	plain := [entry | some entry in in_time(value, sets); entry[0] == 3]
	count(plain) > 0
	plain[0][4] == "image"
}

covers_image(value, sets) if {
	passing := in_time(value, sets)
	count([entry | some entry in passing; entry[0] == 3]) == 0
	passing[count(passing) - 1][4] == "image"
}

# Floor data judges until it is too old, and each of its minimums from a date on.
until(end, result) := 1 if now > end

else := result

from_then_on(begins, result, before) := result if now >= begins

else := before

fixed_on(results) := 1 if product == null

else := object.get(results, product, 1)

revoked_or(status, result) := 0 if status == "Revoked"

else := result

every_of(results) := min(results)

# The first that passes says whether by an observed value.
any_of(results) := passing[0] if {
	passing := [result | some result in results; result >= 2]
	count(passing) > 0
} else := max(results)

none_at_all(results) := flipped(max(results))

flipped(result) := 0 if result >= 2

else := 1 if result == 1

else := 3

##### The machine

now := floor(time.now_ns() / 1000000000)

product := word(get(part("snp"), "product"), ["milan", "genoa", "turin"])

cpu := "snp" if present("snp")

else := "tdx" if present("tdx")

else := ""

said := found if {
	found := get(raw_part("azure"), "paravisor_says")
	is_object(found)
} else := {}

on_azure if present("azure")

on_azure if count(said) > 0

platform := concat("", ["azure-", cpu]) if {
	on_azure
	cpu != ""
} else := "azure" if on_azure

else := cpu if cpu != ""

else := "none"

# What an Azure machine's paravisor says is known where the policy pins the paravisor, whoever wrote it into the claims.
section(name) := part(name) if {
	not on_azure
} else := object.union(part(name), claims_of(get(said, name))) if {
	paravisor_known
} else := object.remove(part("binding"), ["init-data"]) if {
	name == "binding"
} else := {} if {
	name in ["azure", "boot"]
} else := part(name)

gpus := devices("gpu")

switches := devices("switch")

mode_unsaid(device, index) if {
	raw := get(part("raw"), "gpu")
	is_array(raw)
	index < count(raw)
	is_object(raw[index])
	object.get(raw[index], "opaque_data_version", "0") == "0"
	get(device, "mode") == null
}

gpu_mode(device, index) := 3 if mode_unsaid(device, index)

else := one_of(word(get(device, "mode"), ["spt", "mpt", "ppcie"]), ["spt", "mpt"])

own_device(found, index) := 3 if count(found) == 1

else := 1 if identity(found, index) == ""

else := 0 if {
	some earlier in numbers.range(0, index)
	earlier < index
	identity(found, earlier) == identity(found, index)
} else := 3

identity(found, index) := found[index].id if {
	is_string(get(found[index], "id"))
} else := ""

##### The verdict

holds(line) if line[5] >= 2

holds(line) if {
	line[5] < 2
	now <= line[6]
}

default accept := false

accept if {
	count(judged) > 0
	every line in judged {
		holds(line)
	}
}

verdict := "refused" if not accept

else := "conforms-with-warnings" if count(warnings) > 0

else := "conforms-with-warnings" if {
	some line in judged
	line[5] < 3
} else := "conforms"

deny contains "This input is not one that this policy reads" if not tree

deny contains "The machine could not be judged" if not judged

deny contains "The machine could not be judged" if count(judged) == 0

deny contains reason if {
	some line in judged
	not holds(line)
	reason := concat("", [rule_of(line), " (", line[2], "): wanted ", line[3], ", found ", shown(line[4], line[5])])
}

rule_of(line) := line[0] if line[1] < 0

else := concat("", [split(line[0], ".")[0], sprintf("[%d].", [line[1]]), split(line[0], ".")[1]])

shown(found, result) := "nothing that can be compared" if {
	found == null
	result == 1
} else := "no" if found == null

else := found if is_string(found)

else := sprintf("%v", [found])
"""

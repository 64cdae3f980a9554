# From a TAP stream: each failing assertion with the names of the tests around it and its diagnostics.
# A test that fails only because something in it failed says nothing new and is left out.
function indent(line) { match(line, /^ */); return RLENGTH }
/^ *# Subtest: / { d = indent($0) / 4; name[d] = $0; sub(/^ *# Subtest: /, "", name[d]); told[d + 1] = 0; next }
/^ *not ok / && !/# (TODO|SKIP)/ && !inside {
  d = indent($0) / 4
  line = $0; sub(/^ *not ok [0-9]+ - /, "", line); sub(/ # time=.*/, "", line)
  show = !told[d + 1] || line != name[d]
  told[d + 1] = 0
  for (i = 0; i <= d; i++) told[i] = 1
  if (show) {
    path = ""
    for (i = 0; i < d; i++) path = path name[i] " > "
    print "not ok  " path line
  }
  next
}
/^ *ok / && !inside { told[indent($0) / 4 + 1] = 0; show = 0; next }
/^ *---$/ && !inside { inside = 1; lines = 0; base = indent($0); next }
/^ *\.\.\.$/ && indent($0) == base { inside = 0; show = 0; next }
inside && show {
  if (indent($0) == base && match($0, /^ *[a-zA-Z]+:/)) {
    key = substr($0, base + 1); sub(/:.*/, "", key)
    wanted = key !~ /^(stack|source|typeName|functionName|methodName|columnNumber|isToplevel|stdio|cwd|externalID|command|args|compare|jobId|signal)$/
  }
  if (wanted && $0 !~ /(typeName|columnNumber|isToplevel|functionName|methodName): / && ++lines <= 30) print "    " substr($0, base + 1)
}

# Words, quotes and numbers: templates/pipelines/_text.painless and _line.painless.

def trimmed(line)
  first = line.index(/[^\x00-\x20]/)
  return "" if first.nil?
  text = line[first..line.rindex(/[^\x00-\x20]/)]
  text.start_with?("\u{feff}") ? text[1..-1] : text
end

def unwrapped(line)
  return line unless line.length > 40 && line[4] == "-" && line[10] == "T"
  at = line.index(" std")
  at && at > 18 && at < 40 && ["out F ", "err F "].include?(line[at + 4, 6]) ? line[at + 10..-1] : line
end

def excerpt(text)
  text.length <= 60 ? text : "#{text[0, 60]}..."
end

# A number of digits only; -1 where the text is none, -2 where it is greater than a long holds.
def whole_number(text)
  return -1 unless text =~ /\A[0-9]+\z/
  number = text.length > 20 ? 2**64 : text.to_i
  number < 2**63 ? number : -2
end

def nanoseconds(text, unit)
  return -1 unless text.length < 25 && text =~ /\A[0-9.eE-]+\z/
  nanos = java.lang.Double.parseDouble(text) * unit
  nanos >= 0.0 && nanos < 31536000000000000.0 ? java.lang.Math.round(nanos) : -1
rescue java.lang.NumberFormatException
  -1
end

def logged?(text)
  !text.nil? && text != "-" && text != ""
end

def closing_quote(line, from)
  at = line.index('"', from)
  while at
    if at == line.length - 1 || line[at + 1] == " "
      start = at
      start -= 1 while start > from && line[start - 1] == "\\"
      return at if (at - start).even?
    end
    at = line.index('"', at + 1)
  end
  nil
end

def unescaped(text)
  text.gsub(/\\(.)/m) { $1 == '"' || $1 == "\\" ? $1 : "\\#{$1}" }
end

def unquoted(word)
  word.length > 1 && word.start_with?('"') && word.end_with?('"') ? word[1..-2] : word
end

def words_of(line, from, most)
  words = []
  at = from
  while at < line.length && words.size < most
    if line[at] == " "
      at += 1
    elsif line[at] == '"'
      close = closing_quote(line, at + 1)
      return nil if close.nil?
      words << unescaped(line[at + 1...close])
      at = close + 1
    else
      space = line.index(" ", at) || line.length
      words << line[at...space]
      at = space + 1
    end
  end
  words
end

def duration_with_unit(text)
  match = /\A(.*?)(ms|us|µs|ns|s)\z/m.match(text)
  return -1 if match.nil?
  nanoseconds(match[1], {"ms" => 1e6, "us" => 1e3, "µs" => 1e3, "ns" => 1.0, "s" => 1e9}[match[2]])
end

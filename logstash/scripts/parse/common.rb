# Common and Combined Log Format and what extends them: templates/pipelines/_common.painless.

def whole_duration(number)
  return number < 30 ? number * 1_000_000_000 : nanoseconds(number.to_s, 1e3) if @unit == "auto"
  nanoseconds(number.to_s, {"s" => 1e9, "ms" => 1e6, "us" => 1e3}[@unit])
end

def note_seconds(nanos, upstream, goes_on, hit)
  before = hit[:upstream_nanos]
  if !upstream && hit[:nanos].nil?
    hit[:nanos] = nanos
  elsif before.nil?
    hit[:upstream_nanos] = nanos
  else
    hit[:upstream_nanos] = goes_on ? before + nanos : [before, nanos].min
  end
end

def decimal_seconds(word)
  point = word.index(".")
  point && point > 0 && word.length - point > 3 ? nanoseconds(word, 1e9) : -1
end

def note_times(text, upstream, hit)
  return false if text.length > 200
  any = false
  (words_of(text.tr(",:", "  "), 0, 32) || []).each do |word|
    nanos = decimal_seconds(word)
    next if nanos < 0
    note_seconds(nanos, upstream || any, any, hit)
    any = true
  end
  any
end

def unmarked(word)
  from = word.index(/[^*<(]/) || word.length
  return word if from.zero?
  last = word.rindex(/[^*>)]/)
  last.nil? || last < from ? "" : word[from..last]
end

def name_of_upstream_time?(name)
  %w[urt ut upstream_response_time].include?(name)
end

def named_field(name, value, hit)
  if name_of_upstream_time?(name)
    note_times(value, true, hit)
  elsif name == "D"
    hit[:nanos] = nanoseconds(value, 1e3)
  elsif %w[rt request_time time duration].include?(name)
    number = note_times(value, false, hit) ? -1 : whole_number(value)
    hit[:nanos] = whole_duration(number) if number >= 0
  elsif %w[host vhost].include?(name) && logged?(value)
    hit[:vhost] = value
  elsif %w[xff fwd].include?(name) && address_list?(value)
    hit[:forwarded] = value
  end
end

def further_fields(line, from, hit)
  at = from
  last = line.length
  quoted = words = 0
  numbers = []
  goes_on = false
  while at < last && words < 80
    words += 1
    if line[at] == " "
      at += 1
      next
    end
    if line[at] == '"'
      close = closing_quote(line, at + 1)
      if close.nil?
        hit[:problem] = "the line is cut short: a quoted field has no end: #{excerpt(line[at..-1])}"
        return
      end
      text = line[at + 1...close]
      at = close + 1
      if address_list?(text)
        hit[:forwarded] = text
      elsif quoted < 2
        quoted += 1
        hit[quoted == 1 ? :referrer : :agent] = unescaped(text)
      else
        note_times(text, !hit[:nanos].nil?, hit)
      end
      next
    end
    space = line.index(" ", at) || last
    word = line[at...space]
    equals = word.index("=")
    if equals && equals > 0
      name = word[0...equals]
      close = word[equals + 1] == '"' ? closing_quote(line, at + equals + 2) : nil
      if close
        named_field(name, line[at + equals + 2...close], hit)
        at = close + 1
        next
      end
      named_field(name, word.end_with?(",") ? word[equals + 1...-1] : word[equals + 1..-1], hit)
      goes_on = name_of_upstream_time?(name) && word.end_with?(",")
      at = space
      next
    end
    at = space
    if [":", ","].include?(word)
      goes_on = true
      next
    end
    comma = word.end_with?(",")
    word = word[0...-1] if comma
    further_word(unmarked(word), numbers, goes_on, hit)
    goes_on = comma
  end
  further_numbers(numbers, hit) if hit[:nanos].nil? && !numbers.empty?
end

def further_word(word, numbers, goes_on, hit)
  if word.start_with?("TLSv") && word.length < 9
    hit[:tls_protocol] = word
  elsif hit[:tls_protocol] && hit[:tls_cipher].nil? && word.length > 6 && word != "-"
    hit[:tls_cipher] = word
  elsif address_list?(word)
    hit[:forwarded] ||= word
  elsif word =~ /\A[0-9]/
    nanos = decimal_seconds(word)
    both = word.split("/", 2).map { |part| whole_number(part) }
    if nanos >= 0
      note_seconds(nanos, !hit[:nanos].nil?, goes_on, hit)
    elsif both.size == 2 && both.min >= 0
      hit[:nanos] = nanoseconds(word.split("/", 2).last, 1e3)
    else
      number = whole_number(word)
      nanos = number < 0 ? duration_with_unit(word) : -1
      hit[:nanos] = nanos if nanos >= 0
      numbers << number if nanos < 0 && number >= 0
    end
  end
end

def further_numbers(numbers, hit)
  first, second, third = numbers
  if second.nil?
    hit[:nanos] = whole_duration(first)
  elsif third.nil? && (first == second / 1_000_000 || second == first / 1_000_000) && numbers.min < 1_000_000
    hit[:nanos] = nanoseconds(numbers.max.to_s, 1e3)
  elsif numbers.size <= 3
    hit[:received_bytes] = first
    hit[:sent_bytes] = second
    hit[:nanos] = whole_duration(third) if third
  end
end

def tls_request_log(line, zone, hit)
  close = line.index("] ")
  time = close && close <= 64 ? any_time(line[1...close], zone, hit) : nil
  words = time ? words_of(line, close + 2, 16) : nil
  unless words && words.size > 4 && (words[1, 2] == ["-", "-"] || words[1].start_with?("TLS", "SSL"))
    hit[:problem] ||= "not the fields of an ssl_request_log: #{excerpt(line)}"
    return
  end
  hit[:time] = time
  hit[:address], hit[:tls_protocol], hit[:tls_cipher] = words
  split_request(words[3], hit)
  hit[:size] = words[4]
  hit[:referrer], hit[:agent] = words[5], words[6] if words.size > 6
end

def without_syslog_header(text)
  colon = text.index(": ")
  while colon && colon > 0
    word = (text.rindex(" ", colon) || -1) + 1
    return text[colon + 2..-1] if colon - word > 1 && text[word] !~ /[0-9:]/
    colon = text.index(": ", colon + 2)
  end
  return text unless text.start_with?("<")
  at = text.length
  3.times { at = at > 0 ? text.rindex(" ", at - 1) || -1 : at }
  text[at + 1..-1]
end

def remote_fields(whole, hit)
  text = whole.include?(": ") || whole.start_with?("<") ? without_syslog_header(whole) : whole
  if text.count(" ") == 2 && !text.include?(",")
    hit[:address], ident, hit[:user] = text.split(" ", -1)
    hit[:vhost] = ident if ident.length > 1 && ident.include?(".")
    return
  end
  words = []
  at = 0
  goes_on = false
  while at < text.length && words.size < 16
    space = text.index(" ", at) || text.length
    word = text[at...space]
    goes_on ? words[-1] += " #{word}" : words << word
    goes_on = word.end_with?(",")
    at = space + 1
  end
  if words.size < 3
    hit[:problem] = "before the date stand not three fields but #{words.size}: #{excerpt(text)}"
    return
  end
  host = 0
  if words.size == 4 && words[1] == "-" && words[2] == "-" && !address_list?(words[0])
    host = 1
    hit[:vhost] = words[0]
  elsif words.size > 3 && words[1] != "-" && (words[2] == "-" || address_list?(words[1]) || !address_list?(words[0]))
    host = 1
    if address_list?(words[0])
      hit[:forwarded] = words[0]
    elsif words[0] != "-"
      hit[:vhost] = words[0]
    end
  end
  hit[:address] = words[host]
  hit[:user] = words[host + 2..-1].join(" ")
end

def common_log(line, zone, hit)
  if line.start_with?("[") && line.length > 22 && (line[3] == "/" || line[5] == "-")
    return tls_request_log(line, zone, hit)
  end
  time = close = nil
  open = line.index(" [")
  8.times do
    break if open.nil?
    close = line.index("]", open)
    break if close.nil?
    time = any_time(line[open + 2...close], zone, hit)
    break if time
    open = line.index(" [", open + 2)
  end
  if time.nil?
    hit[:problem] ||= line.empty? ? "the line is empty" : "no date like [17/May/2015:10:05:03 +0000]: #{excerpt(line)}"
    return
  end
  hit[:problem] = nil
  hit[:time] = time
  remote_fields(line[0...open], hit)
  return if hit[:problem]
  unless line[close + 1, 2] == ' "'
    hit[:problem] = "no quoted request after the date: #{excerpt(line[close + 1..-1])}"
    return
  end
  from = close + 3
  quote = closing_quote(line, from)
  if quote.nil?
    hit[:problem] = "the line is cut short: the request has no end: #{excerpt(line[from..-1])}"
    return
  end
  split_request(unescaped(line[from...quote]), hit)
  status_end = quote + 2 <= line.length ? line.index(" ", quote + 2) : nil
  if status_end.nil?
    hit[:problem] = "the line is cut short: no status and size after the request"
    return
  end
  size_end = line.index(" ", status_end + 1)
  hit[:status] = unquoted(line[quote + 2...status_end])
  hit[:size] = unquoted(line[status_end + 1...(size_end || line.length)])
  further_fields(line, size_end + 1, hit) if size_end
end

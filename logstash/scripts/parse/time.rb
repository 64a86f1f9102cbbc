# Times: templates/pipelines/_time.painless.

MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec".freeze

def time_of(year, month, day, clock, zone, text, hit)
  return nil unless clock[2] == ":" && clock[5] == ":"
  fraction = 0
  if clock.length > 8
    digits = clock[9..-1].to_s
    fraction = whole_number(digits)
    return nil if ![".", ","].include?(clock[8]) || fraction < 0 || digits.length > 9
    fraction *= 10**(9 - digits.length)
  end
  second = number(clock[6, 2])
  local = java.time.LocalDateTime.of(number(year), month, number(day), number(clock[0, 2]), number(clock[3, 2]),
                                     second == 60 ? 59 : second, fraction)
  local.atZone(java.time.ZoneId.of(%w[+0000 Z UTC].include?(zone) ? "Z" : zone)).toInstant.toString
rescue StandardError, java.lang.Exception
  hit[:problem] = "an impossible date, time or zone: #{excerpt(text)}#{text.end_with?(zone) ? "" : " #{zone}"}"
  nil
end

# As Java reads a number, a sign included.
def number(text)
  java.lang.Integer.parseInt(text)
end

def iso_time(text, zone, hit)
  length = text.length
  return nil unless length.between?(19, 40) && text[4] == text[7] && ["-", "/"].include?(text[4])
  return nil unless ["T", " "].include?(text[10])
  zone_at = text.index(/[^.,0-9]/, 19) || length
  time_of(text[0, 4], number(text[5, 2]), text[8, 2], text[11...zone_at],
          zone_at == length ? zone : trimmed(text[zone_at..-1]), text, hit)
rescue java.lang.NumberFormatException
  nil
end

def clf_time(text, zone, hit)
  return nil unless text.length.between?(20, 33) && text[2] == "/" && text[11] == ":"
  month = MONTHS.index(text[3, 3])
  return nil if month.nil? || month % 3 != 0
  zone_at = text.index(" ", 20)
  time_of(text[7, 4], month / 3 + 1, text[0, 2], text[12...(zone_at || text.length)],
          zone_at ? text[zone_at + 1..-1] : zone, text, hit)
end

def epoch_time(text)
  return nil unless text.length.between?(9, 21) && text =~ /\A[0-9.eE]+\z/
  value = java.math.BigDecimal.new(text)
  digits = value.precision - value.scale
  unit = digits > 17 ? 9 : digits > 14 ? 6 : digits > 11 ? 3 : 0
  nanos = value.movePointRight(9 - unit).longValue
  java.time.Instant.ofEpochMilli(nanos / 1_000_000).plusNanos(nanos % 1_000_000).toString
rescue java.lang.Exception
  nil
end

def any_time(bracketed, zone, hit)
  text = bracketed.start_with?("[") && bracketed.end_with?("]") ? bracketed[1..-2].to_s : bracketed
  time = clf_time(text, zone, hit)
  time = iso_time(text, zone, hit) if time.nil? && hit[:problem].nil?
  time = epoch_time(text) if time.nil? && hit[:problem].nil?
  return time unless time.nil? && hit[:problem].nil? && text.length > 24 && text[3] == ","
  begin
    format = java.time.format.DateTimeFormatter::RFC_1123_DATE_TIME
    java.time.ZonedDateTime.parse(text, format).toInstant.toString
  rescue java.lang.Exception
    nil
  end
end

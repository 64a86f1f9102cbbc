# Makes a line in Common or Combined Log Format the document that the ingest pipeline `httpmon-access` makes of it:
# with a virtual host before it or not, and behind it perhaps "$http_x_forwarded_for" $request_time
# $upstream_response_time, as nginx writes them. What does not match exactly is kept as a document that is no hit, even
# where the pipeline would understand it: a hit here is the same hit there, and the tests hold both to the same lines.
require "java"
require "time"

HOST = /[\w.-]+|\[[\h:.]+\]/
QUOTED = /(?:[^"\\]|\\.)*/
LINE = /\A(?:(?<vhost>(?:#{HOST})(?::\d+)?)\ )?
          (?<address>[\w.:%-]+)\ -\ (?<user>[^\s",:<>()\[\]]+)\ \[(?<time>[^\]]+)\]\ "(?<request>#{QUOTED})"
          \ (?<status>\d{3}|-)\ (?<size>\d{1,14}|-)
          (?:\ "(?<referrer>#{QUOTED})"\ "(?<agent>#{QUOTED})"
             (?:\ "(?<forwarded>[\h.:,\ ]*|-)")?(?:\ (?<seconds>\d+\.\d{3})(?:\ (?<upstream>\d+\.\d{3}|-))?)?)?\z/x
TIME = %r{\A(?<day>\d\d)/(?<month>[A-Z][a-z]{2})/(?<year>\d{4}):(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)
          (?:\ (?<zone>[+-]\d{4}))?\z}x
MONTHS = %w[Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec].freeze
NOT_FOUND = [400, 404, 405, 410, 414].freeze
WRITTEN = %w[source user http url user_agent error network tls].freeze

class Unparsed < StandardError; end

def register(params)
  @namespace = params["namespace"]
  @timezone = java.time.ZoneId.of(params["timezone"])
  @unknown = params["unknown_sections"]
  raise ArgumentError, "unknown_sections is none, made_up or all" unless %w[none made_up all].include?(@unknown)
end

def filter(event)
  line = take_line(event)
  begin
    document = line.nil? ? raise(Unparsed, "no line: neither event.original nor message is there") : parsed(event, line)
    problem = nil
  rescue StandardError, java.lang.Exception => error
    document = nil
    problem = error.message
  end
  finish(event, document, problem)
  [event]
end

# The line, out of what a sender sent; nothing of what is written below is left in the event.
def take_line(event)
  %w[event httpmon].each { |parent| event.set(parent, {}) unless event.get(parent).is_a?(Hash) }
  line = event.get("[event][original]")
  message = event.get("message")
  line = message if line.nil?
  event.remove("message") if line == message
  WRITTEN.each { |field| event.remove(field) }
  take_place(event)
  %w[header format own].each { |field| event.remove("[httpmon][#{field}]") }
  event.set("[event][original]", line.to_s) unless line.nil?
  line.nil? ? nil : line.to_s
end

# Where the line stood, if that is said in a way which the mapping takes.
def take_place(event)
  log = event.get("log")
  return if log.nil?
  return event.remove("log") unless log.is_a?(Hash)
  event.remove("[log][offset]") unless log["offset"].is_a?(Numeric)
  file = log["file"]
  event.remove("[log][file]") unless file.is_a?(Hash) && (file["path"].nil? || file["path"].is_a?(String))
end

# Everything that is known only now, the time among it: the later it is taken, the less the summaries have to wait.
def finish(event, document, problem)
  event.set("[event][dataset]", "httpmon.access")
  event.set("[ecs][version]", "8.17.0")
  event.set("[data_stream]", "type" => "logs", "dataset" => "httpmon.access", "namespace" => @namespace)
  now = Time.now.utc
  if problem
    event.timestamp = LogStash::Timestamp.new(now.iso8601(3))
    event.set("[event][kind]", "pipeline_error")
    event.set("[error][message]", problem)
  else
    happened = document.delete("@timestamp")
    event.timestamp = LogStash::Timestamp.new(happened)
    # As in the pipeline: in UTC, so that the bucket of 10 s is told by the first digit of the seconds.
    document["httpmon"]["bucket_middle"] = "#{happened[0, 18]}5Z"
    document["httpmon"]["lag"] = now.to_i - Time.iso8601(happened).to_i
    %w[event httpmon].each do |parent|
      document.delete(parent).each { |field, value| event.set("[#{parent}][#{field}]", value) }
    end
    document.each { |field, value| event.set("[#{field}]", value) }
  end
  event.set("[event][ingested]", now.iso8601(3))
end

# The fields of a hit, in the names of the Elastic Common Schema. Raises Unparsed.
def parsed(event, line)
  match = LINE.match(line.delete_prefix("\u{feff}").strip)
  raise Unparsed, "not a line that Logstash parses: #{line[0, 60]}" if match.nil?
  vhost, referrer, agent = match[:vhost], unescaped(match[:referrer]), unescaped(match[:agent])
  # Addresses where others stand mean something else: see the pipeline.
  if [vhost, referrer, agent].any? { |text| text && address?(text[/\A[^,]*/]) }
    raise Unparsed, "not a line that Logstash parses, an address at an unusual place: #{line[0, 60]}"
  end
  document = {"@timestamp" => instant(event, match[:time])}
  url = {}
  host_and_port(vhost, url) if vhost
  http = {}
  section = request_fields(unescaped(match[:request]), url, http)
  response, outcome = response_fields(match[:status], match[:size])
  http["response"] = response unless response.empty?
  (http["request"] ||= {})["referrer"] = referrer if logged?(referrer)
  document["http"] = http unless http.empty?
  document["url"] = url unless url.empty?
  document["user"] = {"name" => match[:user]} if logged?(match[:user])
  document["user_agent"] = {"original" => agent} if logged?(agent)
  address_fields(match, document)
  document["event"] = {"kind" => "event", "category" => ["web"], "type" => ["access"], "outcome" => outcome}
  document["httpmon"] = {"section" => folded(section, response["status_code"])}
  # The whole takes no less than its part, in whatever order they stand.
  part, whole = [match[:seconds], match[:upstream]].select { |text| logged?(text) }.map { |text| nanoseconds(text) }.sort
  document["event"]["duration"] = whole || part if part
  document["httpmon"]["upstream"] = {"duration" => part} if whole
  document
end

def logged?(text)
  !text.nil? && text != "-" && text != ""
end

# A quoted text as it was before the server escaped its quotes and backslashes.
def unescaped(text)
  text && text.gsub(/\\(["\\])|\\(.)/m) { $1 || "\\#{$2}" }
end

def nanoseconds(seconds)
  (Float(seconds) * 1e9).round
end

def instant(event, text)
  match = TIME.match(text)
  month = match && MONTHS.index(match[:month])
  raise Unparsed, "no date like [17/May/2015:10:05:03 +0000]: #{text[0, 60]}" if month.nil?
  day, year, hour, minute, second = %i[day year hour minute second].map { |part| match[part].to_i }
  raise Unparsed, "an impossible date, time or zone: #{text[0, 60]}" if year < 1970
  # A leap second counts to the second before it.
  local = java.time.LocalDateTime.of(year, month + 1, day, hour, minute, second == 60 ? 59 : second)
  zone = match[:zone] ? java.time.ZoneId.of(match[:zone]) : given_zone(event)
  local.atZone(zone).toInstant.toString
end

# The zone that a sender gave for dates without one, else that of the settings.
def given_zone(event)
  given = event.get("[event][timezone]")
  given.nil? ? @timezone : java.time.ZoneId.of(given.to_s)
end

def response_fields(status, size)
  response = {}
  outcome = "unknown"
  code = status.to_i
  # Where no response was sent, nginx writes 000.
  if code > 0
    response["status_code"] = code
    outcome = code < 400 ? "success" : "failure"
  end
  response["body"] = {"bytes" => size.to_i} if logged?(size)
  [response, outcome]
end

def address_fields(match, document)
  if logged?(match[:address])
    bare = match[:address].include?(":") ? match[:address][/\A[^%]*/] : match[:address]
    raise Unparsed, "no address: #{bare[0, 60]}" if bare.include?(":") && !address?(bare)
    document["source"] = {"address" => bare}
    document["source"]["ip"] = bare if address?(bare)
  end
  return unless logged?(match[:forwarded])
  first = match[:forwarded][/\A[^,]*/]
  raise Unparsed, "no address: #{match[:forwarded][0, 60]}" unless address?(first)
  document["network"] = {"forwarded_ip" => first}
end

# Of RFC 791 without leading zeros, or of RFC 4291, 2.2.
def address?(text)
  text.include?(":") ? ipv6?(text) : ipv4?(text)
end

def ipv4?(text)
  return false unless text =~ /\A\d{1,3}(?:\.\d{1,3}){3}\z/
  text.split(".").all? { |part| part.to_i <= 255 && (part.length == 1 || part[0] != "0") }
end

def ipv6?(text)
  return false unless text.length.between?(2, 45) && text =~ /\A[\h:.]+\z/
  halves = text.split("::", -1)
  groups = halves.flat_map { |half| half.split(":", -1) }
  *head, last = groups
  mapped = !last.nil? && last.include?(".")
  return false unless (mapped ? head : groups).all? { |group| group =~ /\A\h{1,4}\z/ } && (!mapped || ipv4?(last))
  count = groups.size + (mapped ? 1 : 0)
  halves.size == 2 ? count < 8 : halves.size == 1 && count == 8
end

# The fields of `url` and `http`, and the section; a request that is none of HTTP leaves all out.
def request_fields(request, url, http)
  method, target, version = split_request(request)
  return "(invalid)" if target.nil? || target.empty? || method !~ /\A[A-Za-z0-9_-]{1,40}\z/
  return "(invalid)" unless version.nil? || version =~ /\A\d{1,18}(?:\.\d{1,18})?\z/
  section = target_fields(method, target, url)
  return section if section == "(invalid)"
  url["original"] = target
  http["request"] = {"method" => method}
  http["version"] = version if version
  section
end

def split_request(request)
  raise Unparsed, "not a line that Logstash parses, a coloured request" if request.start_with?("\e")
  method, space, rest = request.partition(" ")
  return [] if space.empty? || method.empty?
  at = rest.rindex(" HTTP/")
  return [method, rest[0...at].strip, rest[at + 6..-1].strip] if at
  # HTTP/0.9 names no version (RFC 1945, 4.1), nor do requests that a server cut because they are too long.
  # Tomcat writes the space before what it did not get.
  rest = rest.strip
  target = rest.start_with?("/") || (method.length > 1 && rest =~ %r{\A[A-Za-z][A-Za-z0-9+.-]{0,19}://})
  target && !rest.include?(" ") ? [method, rest, nil] : []
end

# Origin-form, absolute-form, authority-form or asterisk-form (RFC 9112, 3.2).
def target_fields(method, target, url)
  return path_fields(target, url) if target.start_with?("/")
  return target if target == "*"
  scheme = %r{\A([A-Za-z][A-Za-z0-9+.-]{0,19})://([^/?#]*)}.match(target)
  if scheme
    url["scheme"] = scheme[1].downcase
    # The host that was asked for stands in the request; the port of the virtual host is not its.
    url.delete("port")
    host_and_port(scheme[2], url)
    return path_fields(scheme.post_match, url)
  end
  return "(invalid)" unless method == "CONNECT" && target !~ %r{[/ ]}
  host_and_port(target, url)
  bounded(target)
end

def path_fields(target, url)
  rest, hash, fragment = target.partition("#")
  url["fragment"] = fragment unless hash.empty?
  path, mark, query = rest.partition("?")
  url["query"] = query unless mark.empty?
  url["path"] = path.empty? ? "/" : path
  section = path[%r{[^/]+}]
  section ? bounded("/#{section}") : "/"
end

def host_and_port(authority, url)
  host = authority[/[^@]*\z/]
  match = /\A(.+):(\d+)\z/m.match(host)
  if match && match[2].to_i.between?(1, 65535)
    url["port"] = match[2].to_i
    host = match[1]
  end
  url["domain"] = host unless ["", "-", "_"].include?(host)
end

# A section is kept to 200 characters: it is a key of the summaries. Counted as Java does, beyond the first 65,536 twice.
def bounded(section)
  units = section.encode("UTF-16LE")
  return section if units.bytesize <= 400
  cut = units.byteslice(0, 398)
  cut = cut.byteslice(0, 396) unless cut.valid_encoding?
  "#{cut.encode("UTF-8")}…"
end

# Sections of requests that found nothing, where they look made up, count together: names of this kind have no bound.
def folded(section, status)
  return section if @unknown == "none" || !NOT_FOUND.include?(status) || section !~ %r{\A/.}
  @unknown == "all" || made_up?(section) ? "(not found)" : section
end

def made_up?(section)
  name = section[1..-1]
  changes = name.scan(/(?<=[A-Za-z])[0-9]|(?<=[0-9])[A-Za-z]/).size
  section.length > 64 || name =~ /[0-9]{4}/ || name.count("0-9") > 7 || changes > 2 || name =~ /[^A-Za-z0-9._~-]/
end

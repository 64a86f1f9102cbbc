# The fields of a hit: templates/pipelines/_hit.painless and _made_up.painless.

def split_request(request, hit)
  method_end = request.index(" ")
  version = request.rindex(" HTTP/")
  return if method_end.nil? || method_end < 1 || version.nil? || version <= method_end
  hit[:method] = request[0...method_end]
  hit[:target] = trimmed(request[method_end + 1...version])
  hit[:version] = trimmed(request[version + 6..-1])
end

def host_and_port(authority, url)
  host = authority[(authority.rindex("@") || -1) + 1..-1]
  colon = host.rindex(":") || -1
  if colon > 0 && colon > (host.rindex("]") || -1)
    port = whole_number(host[colon + 1..-1])
    if port > 0 && port < 65536
      url["port"] = port
      host = host[0...colon]
    end
  end
  url["domain"] = host unless ["", "-", "_"].include?(host)
end

# Lengths are Java's: characters beyond the first 65,536 count twice.
def bounded(section)
  units = section.encode("UTF-16LE")
  return section if units.bytesize <= 400
  cut = units.byteslice(0, 398)
  cut = cut.byteslice(0, 396) unless cut.valid_encoding?
  "#{cut.encode("UTF-8")}…"
end

def section_of(path)
  start = path.index(/[^\/]/)
  return "/" if start.nil?
  bounded("/#{path[start...(path.index("/", start) || path.length)]}")
end

def request_fields(hit, url, http)
  method, target, version = hit[:method], hit[:target], hit[:version]
  host_and_port(hit[:vhost], url) if hit[:vhost]
  return "(invalid)" if target.nil? || target.empty? || (method && method !~ /\A[A-Za-z0-9_-]{1,40}\z/)
  return "(invalid)" if version && version.split(".", 2).any? { |part| whole_number(part) < 0 }
  return "(invalid)" if version == ""
  section = nil
  path_at = 0
  scheme = /\A([A-Za-z][A-Za-z0-9+.-]{0,19}):\/\//.match(target)
  if target == "*"
    section = "*"
  elsif target.start_with?("/")
    path_at = 0
  elsif scheme
    path_at = target.index(/[\/?#]/, scheme[0].length) || target.length
    url["scheme"] = scheme[1].downcase
    url.delete("port")
    host_and_port(target[scheme[0].length...path_at], url)
  elsif method == "CONNECT" && target !~ /[\/ ]/
    host_and_port(target, url)
    section = bounded(target)
  else
    return "(invalid)"
  end
  section ||= path_fields(target, path_at, url)
  url["original"] = target
  (http["request"] ||= {})["method"] = method if method
  http["version"] = version if version
  section
end

def path_fields(target, path_at, url)
  last = target.length
  fragment = target.index("#", path_at)
  if fragment
    url["fragment"] = target[fragment + 1..-1]
    last = fragment
  end
  query = target.index("?", path_at)
  if query && query < last
    url["query"] = target[query + 1...last]
    last = query
  end
  url["path"] = path_at == last ? "/" : target[path_at...last]
  section_of(url["path"])
end

def tls_fields(hit)
  tls = {}
  protocol = hit[:tls_protocol]
  if logged?(protocol)
    number = whole_number(protocol)
    old = protocol.downcase.start_with?("ssl") || number == 768
    text = protocol.include?("v") ? protocol[protocol.index("v") + 1..-1] : protocol
    if number > 768 && number < 778
      text = "1.#{number - 769}"
    elsif number == 768
      text = "3.0"
    elsif ["1", "3"].include?(text)
      text += ".0"
    end
    tls["version_protocol"] = old ? "ssl" : "tls"
    tls["version"] = text
  end
  tls["cipher"] = hit[:tls_cipher] if logged?(hit[:tls_cipher])
  tls
end

def source_fields(hit)
  address = hit[:address]
  comma = address.index(",")
  bare = bare_address(comma && comma > 0 ? address[0...comma] : address)
  source = {"address" => bare}
  if address?(bare)
    source["ip"] = bare
  elsif hit[:port].nil? && (bare.index(":") || 0) > 6
    address_and_port(bare, hit)
    if address?(hit[:address])
      source["address"] = source["ip"] = hit[:address]
    else
      hit[:port] = nil
    end
  end
  source["port"] = hit[:port] if hit[:port]
  source
end

# Writes the fields of a hit into the document; returns what is wrong with it, or nil.
def write_hit(hit, document)
  return "no time" if hit[:time].nil?
  response = {}
  outcome = "unknown"
  if logged?(hit[:status])
    text = hit[:status]
    status = text.length == 3 || text == "0" ? whole_number(text) : -1
    return "no status of three digits: #{excerpt(text)}" if status < 0
    if status > 0
      response["status_code"] = status
      outcome = status < 400 ? "success" : "failure"
    end
  end
  if logged?(hit[:size])
    size = whole_number(hit[:size])
    if size < 0
      return "#{size == -2 ? "a size greater than can be counted" : "no size in bytes"}: #{excerpt(hit[:size])}"
    end
    response["body"] = {"bytes" => size}
  end
  url, http = {}, {}
  section = request_fields(hit, url, http)
  response["bytes"] = hit[:sent_bytes] if hit[:sent_bytes]
  http["response"] = response unless response.empty?
  (http["request"] ||= {})["referrer"] = hit[:referrer] if logged?(hit[:referrer])
  (http["request"] ||= {})["bytes"] = hit[:received_bytes] if hit[:received_bytes]
  document["source"] = source_fields(hit) if logged?(hit[:address])
  document["network"] = {"forwarded_ip" => hit[:forwarded].split(",", 2).first} if hit[:forwarded]
  document["user"] = {"name" => hit[:user]} if logged?(hit[:user]) && hit[:user] != '""'
  document["user_agent"] = {"original" => hit[:agent]} if logged?(hit[:agent])
  tls = tls_fields(hit)
  document["tls"] = tls unless tls.empty?
  document["http"] = http unless http.empty?
  document["url"] = url unless url.empty?
  document["@timestamp"] = hit[:time]
  document["event"] = {"kind" => "event", "category" => ["web"], "type" => ["access"], "outcome" => outcome}
  document["event"]["duration"] = hit[:nanos] if hit[:nanos] && hit[:nanos] >= 0
  document["httpmon"] = {"section" => section}
  document["httpmon"]["upstream"] = {"duration" => hit[:upstream_nanos]} if hit[:upstream_nanos]
  nil
end

def made_up?(section)
  name = section[1..-1]
  section.length > 64 || name =~ /[0-9]{4}/ || name.count("0-9") > 7 || name =~ /[^A-Za-z0-9._~-]/
end

def fold_section(document)
  return if @unknown == "none"
  status = ((document["http"] || {})["response"] || {})["status_code"]
  section = document["httpmon"]["section"]
  return unless [404, 400, 405, 410, 414].include?(status) && section.length > 1 && section.start_with?("/")
  document["httpmon"]["section"] = "(not found)" if @unknown == "all" || made_up?(section)
end

# Addresses: templates/pipelines/_address.painless.

def ipv4?(text)
  return false unless text.length < 16 && text =~ /\A\d{1,3}(?:\.\d{1,3}){3}\z/
  text.split(".").all? { |part| part.to_i <= 255 && (part.length == 1 || part[0] != "0") }
end

def ipv6?(text)
  return false unless text.length.between?(2, 45) && text =~ /\A[0-9a-fA-F:.]+\z/
  parts = text.split("::", -1)
  return false if parts.size > 2
  groups = parts.flat_map { |part| part.split(":", -1) }
  count = groups.size
  groups.each_with_index do |group, index|
    if index == groups.size - 1 && group.include?(".")
      return false unless ipv4?(group)
      count += 1
    elsif group !~ /\A[0-9a-fA-F]{1,4}\z/
      return false
    end
  end
  parts.size == 2 ? count < 8 : count == 8
end

def address?(text)
  text.include?(":") ? ipv6?(text) : ipv4?(text)
end

def address_list?(text)
  comma = text.index(",")
  address?(comma ? text[0...comma] : text)
end

def bare_address(text)
  bare = text.start_with?("[") && text.end_with?("]") ? text[1..-2].to_s : text
  zone = bare.index("%")
  zone && zone > 0 && bare.include?(":") ? bare[0...zone] : bare
end

def address_and_port(text, hit)
  colon = text.rindex(":") || -1
  port = colon > 0 ? whole_number(text[colon + 1..-1]) : -1
  hit[:address] = port >= 0 ? text[0...colon] : text
  hit[:port] = port if port > 0 && port < 65536
end

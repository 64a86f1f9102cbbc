# Makes a line of a Common or Combined log, or of what extends them, the document that the ingest pipeline
# `httpmon-access_common` makes of it. Function by function the same as templates/pipelines/*.painless, whose comments
# say why. The tests hold both to the same lines and documents.
require "java"
require "time"

# One file each, in this filter's own context.
%w[text address time common hit].each do |part|
  file = File.join(File.dirname(__FILE__), "parse", "#{part}.rb")
  instance_eval(File.read(file, :encoding => "UTF-8"), file, 1)
end

WRITTEN = %w[source user http url user_agent error network tls].freeze

def register(params)
  @namespace = params["namespace"]
  @timezone = params["timezone"]
  @unknown = params["unknown_sections"]
  @unit = params["whole_durations"]
  raise ArgumentError, "unknown_sections is none, made_up or all" unless %w[none made_up all].include?(@unknown)
  raise ArgumentError, "whole_durations is auto, s, ms or us" unless %w[auto s ms us].include?(@unit)
  java.time.ZoneId.of(@timezone)
end

def filter(event)
  line = take_line(event)
  hit, document = {}, {}
  begin
    if line.nil?
      problem = "no line: neither event.original nor message is there"
    else
      text = unwrapped(trimmed(line))
      zone = given_zone(event) || @timezone
      # A directive of the W3C's format is no hit, but not wrong either.
      if text.start_with?("#") && text =~ /\A#[[:alpha:]-]{1,23}:/
        hit[:header] = true
      else
        common_log(text, zone, hit)
      end
      problem = hit[:problem] || (hit[:header] ? nil : write_hit(hit, document))
    end
  rescue StandardError, java.lang.Exception => unforeseen
    problem = unforeseen.to_s
  end
  finish(event, hit, document, problem)
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
def finish(event, hit, document, problem)
  event.set("[event][dataset]", "httpmon.access")
  event.set("[ecs][version]", "8.17.0")
  event.set("[data_stream]", "type" => "logs", "dataset" => "httpmon.access", "namespace" => @namespace)
  now = Time.now.utc
  happened = document.delete("@timestamp")
  if problem || hit[:header]
    event.timestamp = LogStash::Timestamp.new(now.iso8601(3))
    event.set("[event][kind]", problem ? "pipeline_error" : "enrichment")
    if problem
      event.set("[error][message]", problem)
    else
      event.set("[event][category]", ["web"])
      event.set("[event][type]", ["info"])
    end
  else
    fold_section(document)
    event.timestamp = LogStash::Timestamp.new(happened)
    document["httpmon"]["lag"] = now.to_i - Time.iso8601(happened).to_i
    %w[event httpmon].each do |parent|
      document.delete(parent).each { |field, value| event.set("[#{parent}][#{field}]", value) }
    end
    document.each { |field, value| event.set("[#{field}]", value) }
  end
  event.set("[event][ingested]", now.iso8601(3))
end

# The zone that a sender gave for dates without one.
def given_zone(event)
  given = event.get("[event][timezone]")
  return nil if given.nil?
  java.time.ZoneId.of(given.to_s).getId
rescue java.lang.Exception
  event.remove("[event][timezone]")
  nil
end

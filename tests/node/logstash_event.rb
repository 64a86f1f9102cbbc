# Runs a script of Logstash's ruby filter outside Logstash: reads {"script", "params", "events"} from standard input, and
# writes the events that come out. Of Logstash's event only what the scripts use, as its documentation describes it.
require "json"
require "time"

module LogStash
  class Timestamp
    def initialize(text)
      @time = Time.iso8601(text)
    end

    def to_f
      @time.to_f
    end

    def to_iso8601
      @time.utc.iso8601(3)
    end
  end

  class Event
    attr_accessor :timestamp

    def initialize(fields)
      @fields = fields
      @timestamp = Timestamp.new(fields.delete("@timestamp") || Time.now.utc.iso8601(9))
    end

    def get(reference)
      names(reference).reduce(@fields) { |parent, name| parent.is_a?(Hash) ? parent[name] : nil }
    end

    def set(reference, value)
      *parents, last = names(reference)
      holder = parents.reduce(@fields) { |parent, name| parent[name] ||= {} }
      raise ArgumentError, "#{reference} stands in no object" unless holder.is_a?(Hash)
      holder[last] = value
    end

    def remove(reference)
      *parents, last = names(reference)
      holder = parents.reduce(@fields) { |parent, name| parent.is_a?(Hash) ? parent[name] : nil }
      holder.delete(last) if holder.is_a?(Hash)
    end

    def to_h
      @fields.merge("@timestamp" => @timestamp.to_iso8601)
    end

    private

    def names(reference)
      reference.start_with?("[") ? reference[1..-2].split("][") : [reference]
    end
  end
end

STDIN.set_encoding("UTF-8")
STDOUT.set_encoding("UTF-8")
STDIN.each_line do |line|
  order = JSON.parse(line)
  context = Object.new
  context.instance_eval(File.read(order["script"], :encoding => "UTF-8"), order["script"], 1)
  context.register(order["params"])
  made = order["events"].flat_map { |fields| context.filter(LogStash::Event.new(fields)) }
  STDOUT.puts(JSON.generate(made.map(&:to_h)))
  STDOUT.flush
end

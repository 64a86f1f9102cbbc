# Says where a line stands: the host, the log without what rotation put behind its name, and the place in it. Beats
# know the offset. The file input does not, so there the place is how many times this very line was seen in this file
# before. Counted by file, named by log: the copy that copytruncate makes gives the ids of its original again.

# Of rotated names, as access.log.1, access.log-20251125 and access.log-20251125-1732500000.
ROTATED = /(\.\d+|-\d{8}(-\d+)?)\z/

def register(params)
  @remembered = params["remembered"]
  @started = Time.now.to_f
  @seen = {}
  @lock = Mutex.new
end

def filter(event)
  path = event.get("[log][file][path]") || event.get("[@metadata][path]") || ""
  log = path.sub(ROTATED, "")
  host = event.get("[host][name]") || event.get("[agent][name]") || ""
  offset = event.get("[log][offset]")
  event.set("[@metadata][httpmon][host]", host)
  event.set("[@metadata][httpmon][log]", log)
  event.set("[@metadata][httpmon][place]", offset.nil? ? "n#{occurrence(path, event)}" : "o#{offset}")
  [event]
end

# After a crash a line may come twice: out of the queue on disk, with the time at which it was read then, and read again,
# because the position in the file was noted before. Each of the two is counted by itself, or they would look like two.
# Lines carry their time to the second, so equal ones are close together: the oldest may be forgotten.
def occurrence(path, event)
  key = [path, event.get("message"), event.timestamp.to_f < @started]
  @lock.synchronize do
    count = @seen.delete(key) || 0
    @seen[key] = count + 1
    @seen.shift if @seen.size > @remembered
    count
  end
end

# Says where a line stands: the host, the log without what rotation put behind its name, and the place in it. Beats
# know the offset. The file input does not, so there the place is how many times this very line was seen in this file
# before. Counted by file, named by log: the copy that copytruncate makes gives the ids of its original again.

# Of rotated names, as access.log.1, access.log-20251125 and access.log-20251125-1732500000.
ROTATED = /(\.\d+|-\d{8}(-\d+)?)\z/

def register(params)
  @remembered = params["remembered"]
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
  event.set("[@metadata][httpmon][place]", offset.nil? ? "n#{occurrence(path, event.get("message"))}" : "o#{offset}")
  [event]
end

# Lines carry their time to the second, so equal ones are close together: the oldest may be forgotten.
def occurrence(path, line)
  key = [path, line]
  @lock.synchronize do
    count = @seen.delete(key) || 0
    @seen[key] = count + 1
    @seen.shift if @seen.size > @remembered
    count
  end
end

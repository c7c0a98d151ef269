-- For wrk: posts prepared multipart bodies in turn, and prints what it measured as JSON.
--
--     RATE=100 wrk -t1 -c200 -d8s -s wrk.lua URL -- TYPE BODY BODY ...
--
-- With RATE, requests are sent at random moments, that many per second on average (a Poisson
-- process), whether or not earlier ones were answered, as long as a connection is free.
-- Without it, each connection sends its next request when the previous one was answered.

local rate = tonumber(os.getenv("RATE") or "0")
local requests, turn, due = {}, 0, nil

function init(arguments)
   local headers = { ["Content-Type"] = arguments[1] }
   for index = 2, #arguments do
      local file = assert(io.open(arguments[index], "rb"))
      requests[#requests + 1] = wrk.format("POST", nil, headers, file:read("*a"))
      file:close()
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

if rate > 0 then
   local ffi = require("ffi")
   ffi.cdef [[
      typedef struct { long seconds, nanoseconds; } moment;
      int clock_gettime(int clock, moment *now);
   ]]
   local moment = ffi.new("moment")

   local function milliseconds()
      ffi.C.clock_gettime(1, moment) -- CLOCK_MONOTONIC
      return tonumber(moment.seconds) * 1e3 + tonumber(moment.nanoseconds) / 1e6
   end

   function delay()
      local now = milliseconds()
      due = (due or now) - math.log(1 - math.random()) * 1e3 / rate
      return math.max(0, due - now)
   end
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %f, "failed": %d, "p50": %f, "p90": %f, "p99": %f}\n',
      summary.requests, summary.duration / 1e6,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3))
end

// Server-sent events of one job: what it is now, and every change until it ends.
//
//   event: queued | progress | preview | completed | failed | cancelled | removed
//   data: the job (job.h, public_job), of preview {"number", "url"}, of removed {"id"}
//
// Changes that follow each other quickly are sent as one, so that a slow client receives what is newest.
#pragma once

#include <httplib.h>

#include <string>

#include "moga/serve/job_queue.h"

namespace moga {

// Throws ApiError, 503, when too many clients listen already.
void send_events(const JobQueue& queue, const std::string& id, httplib::Response& response);

inline constexpr int kMostListeners = 200;

}  // namespace moga

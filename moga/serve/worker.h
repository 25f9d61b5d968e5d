// The worker: takes one job after the other from the queue and makes its film.
//
//   queue → take() → make(job, …) → complete, fail, or stopped
//
// Knows no model: `make` does the work (film_maker.h, or a stand-in in tests).
#pragma once

#include <functional>

#include "moga/serve/job_queue.h"

namespace moga {

// Writes the job's film to `files`. Throws Interrupted when interrupted() is true (core/stop_scope.h), and otherwise an
// error that becomes the job's.
using MakeFilm = std::function<void(const Job& job, const JobFiles& files,
                                    const std::function<void(const std::function<void(JobProgress&)>&)>& report)>;

// Until the queue is closed.
void work(JobQueue& queue, const MakeFilm& make);

}  // namespace moga

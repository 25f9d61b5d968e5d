#include "moga/serve/worker.h"

#include <c10/util/Exception.h>

#include <chrono>
#include <new>

#include "moga/core/interrupt.h"
#include "moga/core/json_text.h"
#include "moga/core/log.h"
#include "moga/core/stop_scope.h"

namespace moga {
namespace {

void fail_job(JobQueue& queue, const Job& job, const std::string& message) {
  const std::string line = printable(message.substr(0, message.find('\n')));
  log_info(job.id, ": failed: ", line);
  queue.fail(job.id, line);
}

void make_film(JobQueue& queue, const MakeFilm& make, const Job& job) {
  const StopScope stop_scope(queue.stop_flag());
  try {
    const auto start = std::chrono::steady_clock::now();
    make(job, queue.files_of(job.id),
         [&](const std::function<void(JobProgress&)>& change) { queue.report(job.id, change); });
    queue.complete(job.id);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    log_info(job.id, ": completed in ", format_duration(seconds.count()));
  } catch (const Interrupted&) {
    queue.stopped(job.id);
    log_info(job.id, ": stopped");
  } catch (const c10::Error& error) {
    fail_job(queue, job, error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    fail_job(queue, job, "out of memory");
  } catch (const std::exception& error) {
    fail_job(queue, job, error.what());
  }
}

}  // namespace

void work(JobQueue& queue, const MakeFilm& make) {
  while (!interrupted()) {  // a job that a signal stopped waits again, but not for this worker
    const std::optional<Job> job = queue.take();
    if (!job) return;
    log_info(job->id, ": started");
    make_film(queue, make, *job);
  }
}

}  // namespace moga

// The HTTP interface over a queue of jobs:
//
//   GET    /                           a page to write scripts and watch films
//   GET    /health, /metrics, /v1/models
//   POST   /v1/videos                  a new job (request.h)
//   GET    /v1/videos                  jobs; ?limit= &after= &order=
//   GET    /v1/videos/ID               one job
//   GET    /v1/videos/ID/script        its script
//   GET    /v1/videos/ID/events        its changes as they happen (events.h)
//   GET    /v1/videos/ID/preview       the newest picture of a running job
//   GET    /v1/videos/ID/content       the film; ?variant=spritesheet: the contact sheet
//   DELETE /v1/videos/ID               cancels a job that waits or runs, removes one that ended
//
// Every error is JSON (api_error.h).
#pragma once

#include <httplib.h>

#include "moga/serve/access.h"
#include "moga/serve/job_queue.h"
#include "moga/serve/request.h"

namespace moga {

class Routes {
 public:
  // All outlive the server.
  Routes(JobQueue& queue, const Access& access, const RequestRules& rules);
  void add_to(httplib::Server& server);

 private:
  using Request = httplib::Request;
  using Response = httplib::Response;

  void dispatch(const Request& request, Response& response);
  void videos(const Request& request, Response& response);
  void video(const Request& request, Response& response, const std::string& id, const std::string& part);
  void submit(const Request& request, Response& response);
  void list(const Request& request, Response& response);
  void remove(Response& response, const std::string& id);
  void content(const Request& request, Response& response, const JobView& view);
  void preview(Response& response, const JobView& view);
  std::string metrics() const;
  JobView found(const std::string& id) const;

  JobQueue& queue_;
  const Access& access_;
  const RequestRules& rules_;
};

}  // namespace moga

// Google's gRPC client for JavaScript; it reads the .proto files itself.
//
//     node grpc_js_client.js NODE_MODULES PROTOS '{"caremesh.v1.PatientRecordsService": "127.0.0.1:50051", …}'
//
// Calls every method there is and prints what each of them answered, as one JSON object.
const fs = require("fs");
const path = require("path");

const [modules, protos, given] = process.argv.slice(2);
const grpc = require(path.join(modules, "@grpc/grpc-js"));
const loader = require(path.join(modules, "@grpc/proto-loader"));

const addresses = JSON.parse(given);
const files = fs.readdirSync(protos).filter((name) => name.endsWith(".proto"));
const options = { keepCase: true, enums: String, arrays: false, objects: false, includeDirs: [protos] };
const root = grpc.loadPackageDefinition(loader.loadSync(files, options));
const RECORDS = "caremesh.v1.PatientRecordsService";
const PRESCRIPTIONS = "caremesh.v1.PrescriptionManagementService";
const REGISTRY = "mesh.registry.v1.ServiceRegistry";
const HEALTH = "grpc.health.v1.Health";
const TEXT = "přelom ٣ 骨折 🩻";
const PATIENT = 2147483002;
const told = {};

const found = (name) => name.split(".").reduce((at, part) => at[part], root);
const deadline = () => ({ deadline: Date.now() + 10000 });
const client = (service, address) => new (found(service))(address, grpc.credentials.createInsecure());

function ask(stub, method, message) {
  return new Promise((resolve, reject) =>
    stub[method](message, deadline(), (error, reply) => (error ? reject(error) : resolve(reply))));
}

async function refusal(stub, method, message) {
  try {
    await ask(stub, method, message);
    return "OK";
  } catch (error) {
    return grpc.status[error.code];
  }
}

// The messages of a stream until `enough` says so.
function watch(stub, method, message, enough) {
  return new Promise((resolve, reject) => {
    const seen = [];
    const stream = stub[method](message, deadline());
    stream.on("error", (error) => (error.code === grpc.status.CANCELLED ? undefined : reject(error)));
    stream.on("data", (one) => {
      seen.push(one);
      if (enough(seen)) {
        stream.cancel();
        resolve(seen);
      }
    });
  });
}

// The answers to requests that travel together, in the order of the requests.
async function answered(stub, service, method, requests) {
  const items = requests.map((request) => ({ request }));
  const all = (seen) => seen.flatMap((one) => one.items);
  const seen = await watch(stub, method, { items }, (some) => all(some).length === items.length);
  told[`/${service}/${method}`] = all(seen).sort((one, other) => (one.number || 0) - (other.number || 0));
}

function caller(service) {
  const stub = client(service, addresses[service]);
  const call = async (method, message) => (told[`/${service}/${method}`] = await ask(stub, method, message));
  return [stub, call];
}

async function ofRecords() {
  const [stub, call] = caller(RECORDS);
  const made = await call("PostPatientRecords",
    { patient_id: PATIENT, doctor_id: 3, record_text: TEXT, date: "2024-02-29", source_id: "js" });
  const one = { record_id: made.record_id, patient_id: PATIENT };
  await call("GetPatientRecord", one);
  await call("PutPatientRecords", { ...made, record_text: `${TEXT}!` });
  const page = { patient_id: PATIENT, limit: 10 };
  await call("GetPatientRecords", page);
  await answered(stub, RECORDS, "BatchGetPatientRecords", [page, {}]);
  await call("DeletePatientRecords", one);
  await call("GetPatientRecordHistory", one);
  await call("CheckHealth", {});
  told["deleted record"] = await refusal(stub, "GetPatientRecord", one);
  told["bad record"] = await refusal(stub, "PostPatientRecords", {});
  stub.close();
}

async function ofPrescriptions() {
  const [stub, call] = caller(PRESCRIPTIONS);
  const made = await call("PostPatientPrescription", {
    patient_id: PATIENT, doctor_id: 3, written_on: "2024-02-29",
    medications: [{ medication_name: TEXT, quantity: "2.5", refills: 0 }],
  });
  const one = { prescription_id: made.prescription_id, patient_id: PATIENT };
  await call("GetPrescription", one);
  await call("PutPatientPrescription", { ...made, patient_name: TEXT });
  const page = { patient_id: PATIENT, limit: 10 };
  await call("GetPatientPrescriptions", page);
  await answered(stub, PRESCRIPTIONS, "BatchGetPatientPrescriptions", [page, {}]);
  await call("DeletePatientPrescription", one);
  await call("GetPrescriptionHistory", one);
  await call("GetDeliveries", one);
  await call("CheckHealth", {});
  stub.close();
}

async function ofRegistry() {
  const [stub, call] = caller(REGISTRY);
  const watching = watch(stub, "Watch", { service_name: "grpc-js" }, (seen) => seen.at(-1).endpoints?.length > 0);
  const lease = await call("Register", { service_name: "grpc-js", ip_address: "127.0.0.1", port: 9, metadata: TEXT });
  const seen = await watching;
  told[`/${REGISTRY}/Watch`] = [seen[0], seen.at(-1)];
  await call("Renew", lease);
  await call("Deregister", lease);
  told["unknown lease"] = await refusal(stub, "Renew", lease);
  stub.close();
}

async function ofHealth() {
  told[`/${HEALTH}/Check`] = {};
  told[`/${HEALTH}/Watch`] = {};
  for (const [service, address] of Object.entries(addresses)) {
    const stub = client(HEALTH, address);
    for (const name of ["", service]) {
      told[`/${HEALTH}/Check`][`${service} ${name}`] = await ask(stub, "Check", { service: name });
      const [first] = await watch(stub, "Watch", { service: name }, () => true);
      told[`/${HEALTH}/Watch`][`${service} ${name}`] = first;
    }
    told[`${service} missing`] = await refusal(stub, "Check", { service: "no.such.Service" });
    stub.close();
  }
}

async function main() {
  await ofRecords();
  await ofPrescriptions();
  await ofRegistry();
  await ofHealth();
  process.stdout.write(JSON.stringify(told));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exitCode = 1;
});

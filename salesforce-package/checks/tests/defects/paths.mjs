// Where the defects are planted.

export const APP = "force-app/main/default";
export const OBJECT = `${APP}/objects/Enrichment__c/Enrichment__c.object-meta.xml`;
export const EVENT = `${APP}/objects/Sync_Request__e/Sync_Request__e.object-meta.xml`;
export const SETTING = `${APP}/objects/Sync_Settings__c/Sync_Settings__c.object-meta.xml`;
export const field = (name, object = "Enrichment__c") => `${APP}/objects/${object}/fields/${name}.field-meta.xml`;
export const INTEGRATION = `${APP}/permissionsets/Sync_Integration.permissionset-meta.xml`;
export const VIEWER = `${APP}/permissionsets/Enrichment_Viewer.permissionset-meta.xml`;
export const COMPANION = "unpackaged/config/integration/permissionsets/Sync_Standard_Access.permissionset-meta.xml";
export const LAYOUT = `${APP}/layouts/Enrichment__c-Enrichment Layout.layout-meta.xml`;
export const PAGE = `${APP}/flexipages/Enrichment_Record_Page.flexipage-meta.xml`;
export const ACCOUNT_FLOW = `${APP}/flows/Account_Sync_Request.flow-meta.xml`;
export const LEAD_FLOW = `${APP}/flows/Lead_Sync_Request.flow-meta.xml`;
export const EXAMPLE_FLOW = "unpackaged/examples/declarative/flows/Account_Sync_Request_Declarative.flow-meta.xml";
export const APEX = `${APP}/classes/SyncRequestPublisher.cls`;
export const TEST = `${APP}/classes/SyncRequestPublisherTest.cls`;
export const OAUTH = "eca/main/default/extlClntAppOauthSettings/Sync_Service_OAuth.ecaOauth-meta.xml";
export const ECA = "eca/main/default/externalClientApps/Sync_Service.eca-meta.xml";
export const PROJECT = "sfdx-project.json";
